"""The page on dashboards has the labels, annotations and Events that there are, and no others."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from launcher.approval import Approved
from launcher.cluster import CHECK_LABEL
from launcher.config import NodeConfig
from launcher.jobcontext import HostAlias
from launcher.jobmarks import NOBODY
from launcher.manifests import Manifests
from launcher.runs import RequestedDatabase
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates
from tests.unit.changed_job import nothing_selects
from tests.unit.example_context import SHIPPED
from tests.unit.test_algorithmenv import RUN, TREE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dashboards.md").read_text()
DATABASE = "v6-node.vantage6.ai/database.registry"


def job(folder: Path) -> dict[str, Any]:
    """A run with everything that a label or an annotation can tell of."""
    jobs = {"kueue": {"queueName": "q"}, "profiles": {"big": {}}, "resources": {"limits": {"memory": "1Gi"}}}
    kubernetes = {**TREE["kubernetes"], "jobs": jobs, "egress": {"service": "v6-node-egress", "port": 3128}}
    config = NodeConfig.model_validate({"node": TREE["node"], "kubernetes": kubernetes})
    templates = JobTemplates(SHIPPED, folder)
    made = Manifests(config, templates, TaskFiles(folder, NOBODY), NOBODY, owner_uid="uid", selecting=nothing_selects)
    run = replace(RUN, databases=(RequestedDatabase("Registry"),))
    aliases = (HostAlias("10.96.0.20", ("proxyserver",)),)
    return made.rendering(made.approved_context(run, Approved(run.image, "none"), aliases, "big")).manifest


def listed(heading: str) -> dict[str, set[str]]:
    """Names in one table of the page, by whether they are labels or annotations."""
    table = PAGE.partition(f"| {heading} | |")[2].partition("\n\n")[0]
    found: dict[str, set[str]] = {"label": set(), "annotation": set()}
    for name, kind in re.findall(r"^\| `(\S+)` \| (label|annotation) \|", table, re.MULTILINE):
        found[kind].add(name.replace("<label>", "registry"))
    return found


def there(metadata: dict[str, Any]) -> dict[str, set[str]]:
    return {"label": set(metadata["labels"]), "annotation": set(metadata["annotations"])}


def test_labels_and_annotations_are_those_of_a_job_and_its_pod(tmp_path: Path) -> None:
    made = job(tmp_path)
    on_job, on_pod = there(made["metadata"]), there(made["spec"]["template"]["metadata"])
    assert DATABASE in on_pod["label"]
    for kind in ("label", "annotation"):
        assert listed("on Job and pod")[kind] == on_job[kind] & on_pod[kind]
        assert listed("on the Job alone")[kind] == on_job[kind] - on_pod[kind]
        assert listed("on the pod alone")[kind] == on_pod[kind] - on_job[kind]
    assert f"`{CHECK_LABEL}`" in PAGE


def test_the_node_s_events_are_those_that_the_launcher_records() -> None:
    """Wherever an Event is recorded, its reason stands there in words, a good one and a bad one."""
    source = (ROOT / "launcher" / "node.py").read_text()
    recorded = re.findall(r'"(\w+)" if \w+ else "(\w+)"', source)
    assert len(recorded) == source.count("await _record(")
    expected = {reason: kind for pair in recorded for reason, kind in zip(pair, ("Normal", "Warning"), strict=True)}
    assert dict(re.findall(r"^\| `(\w+)` \| (Normal|Warning) \|", PAGE, re.MULTILINE)) == expected
    others = [file.name for file in (ROOT / "launcher").rglob("*.py") if ".announce(\n" in file.read_text()]
    assert others == ["node.py"]
