"""Each override of jobs that can't be meant is refused where it was written, by the chart or the launcher's start."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher.config import ConfigError, NodeConfig
from launcher.invariants import InvariantError
from launcher.jobmarks import NOBODY
from launcher.manifests import Manifests
from launcher.networkpolicies import selecting
from launcher.node import SHIPPED_TEMPLATES
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates, TemplateError
from tests.chart.rendering import MINIMAL, complaints, merged, named, parsed, template

OVERRIDES = yaml.safe_load((Path(__file__).parent / "bad_overrides.yaml").read_text())


def refusals(values: dict[str, Any], helm: str, folder: Path) -> list[str]:
    """What the chart says, or if it has nothing to say, what the launcher does."""
    done = template(helm, values)
    if done.returncode:
        return complaints(done.stderr)
    objects = parsed(done.stdout)
    (folder / "node.yaml").write_text(named(objects, "ConfigMap", "v6-node-config")["data"]["node.yaml"])
    mine = folder / "templates"
    mine.mkdir()
    for name, text in values.get("jobs", {}).get("templates", {}).items():
        (mine / name).write_text(text)
    policies = [one for one in objects if one["kind"] == "NetworkPolicy"]
    try:
        made = Manifests(
            NodeConfig.load(folder / "node.yaml"),
            JobTemplates(SHIPPED_TEMPLATES, mine),
            TaskFiles(folder, NOBODY),
            NOBODY,
            owner_uid="0b0d2f0e-7a43-4a35-9f0e-2f5a3f6f5b11",
            selecting=lambda labels: selecting(policies, labels),
        )
        made.rehearse()
    except (ConfigError, TemplateError, InvariantError) as error:
        return [str(error)]
    return []


def test_there_are_at_least_thirty() -> None:
    assert len({one["override"] for one in OVERRIDES}) == len(OVERRIDES) >= 30


def test_without_an_override_nothing_is_refused(helm: str, tmp_path: Path) -> None:
    assert refusals(MINIMAL, helm, tmp_path) == []


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda one: one["override"])
def test_is_refused(override: dict[str, Any], helm: str, tmp_path: Path) -> None:
    found = refusals(merged(MINIMAL, override["values"]), helm, tmp_path)
    assert found, "nobody noticed"
    dotted = override["where"].replace("[", ".").replace("]", "")  # as the checkers of the schema write it
    [sentence] = [each for each in found if override["where"] in each or dotted in each]
    assert override.get("says", "") in sentence
    assert "\n" not in sentence
