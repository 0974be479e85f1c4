"""What `up` hands to helm is what the chart takes, whenever it found nothing missing."""

from pathlib import Path

import pytest
import yaml

from launcher.admin.down import TASKS, goes_with_the_release
from launcher.admin.plan import plan
from launcher.translate.findings import Site
from launcher.translate.node import translate
from launcher.translate.source import configuration
from tests.chart.rendering import MINIMAL, ROOT, render, template

CONFIGURATIONS = sorted((ROOT / "tests" / "unit" / "configurations").glob("*.yaml"))
EVERYTHING_THERE = ("v6-node-key", "v6-org-key", "v6-tunnel-key")


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.stem)
def test_the_chart_takes_what_is_planned(file: Path):
    source, _ = configuration(yaml.safe_load(file.read_text()), file.name)
    made = plan(translate(source, Site("worker-1", "hospital", secrets=True)), (), EVERYTHING_THERE)
    if made.missing:
        return
    done = template("helm", made.values)
    assert done.returncode == 0, done.stderr


def test_some_configurations_miss_nothing():
    complete = []
    for file in CONFIGURATIONS:
        source, _ = configuration(yaml.safe_load(file.read_text()), file.name)
        made = plan(translate(source, Site("worker-1", "hospital", secrets=True)), (), EVERYTHING_THERE)
        complete += [] if made.missing else [file.stem]
    assert len(complete) >= 8, complete


@pytest.mark.parametrize(("values", "goes"), [({}, False), ({"keep": False}, True), ({"existingClaim": "mine"}, False)])
def test_whether_the_task_volume_goes_with_the_release_is_told_by_its_manifests(values: dict[str, object], goes: bool):
    objects = render(MINIMAL | {"taskVolume": values})
    assert goes_with_the_release(objects) is goes
    assert any(each["metadata"]["name"] == TASKS for each in objects) is ("existingClaim" not in values)
