"""Jobs like a node's without a node, the API server's count, and a benchmark's file, page and pictures."""

import asyncio
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks import crowd, page
from benchmarks.found import FULL, QUICK, Found
from benchmarks.goals import GOALS, Measurement
from benchmarks.install import bare_job, bare_pod, gate_seconds, has_condition
from benchmarks.rawjobs import raw_manifest
from benchmarks.record import Record
from benchmarks.requestcount import Count, parse, schema
from benchmarks.scene import remove_leftovers
from benchmarks.stages import STAGES
from tests.stage import StageError
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.unit.test_layout import rendered
from tests.unit.test_taskfiles import RUN

RUN_ID = "v6-node.vantage6.ai/run-id"


def as_the_api_server_shows_it(manifest: dict[str, Any]) -> dict[str, Any]:
    """With what API server and Job controller add."""
    job = json.loads(json.dumps(manifest))
    job["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "now", "finalizers": ["x"]}
    job["status"] = {"active": 1}
    job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    job["spec"]["template"]["metadata"]["labels"] |= {"controller-uid": "u", "batch.kubernetes.io/job-name": "run-7"}
    return job


def test_a_raw_job_is_the_nodes_job_of_another_name_with_its_own_files(tmp_path: Path) -> None:
    manifest = rendered(RUN, tmp_path, "v4")
    raw = raw_manifest(as_the_api_server_shows_it(manifest), "raw-1")
    mounts = raw["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {each["subPath"] for each in mounts if "subPath" in each} == {"raw/raw-1/data", "raw/raw-1/tmp"}
    assert raw["metadata"]["name"] == "raw-1"
    assert RUN_ID not in {**raw["metadata"]["labels"], **raw["spec"]["template"]["metadata"]["labels"]}
    # All else is as it was: put back, it is the node's own.
    raw["metadata"]["name"] = manifest["metadata"]["name"]
    for labels in (raw["metadata"]["labels"], raw["spec"]["template"]["metadata"]["labels"]):
        labels[RUN_ID] = str(RUN.id)
    originals = manifest["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    for mount, original in zip(mounts, originals, strict=True):
        mount.update({"subPath": original["subPath"]} if "subPath" in original else {})
    assert raw == manifest


_COUNT = "apiserver_flowcontrol_request_execution_seconds_count"
METRICS = f"""
# TYPE apiserver_flowcontrol_request_execution_seconds histogram
apiserver_flowcontrol_request_execution_seconds_bucket{{flow_schema="ours",type="regular",le="1"}} 4
{_COUNT}{{flow_schema="ours",priority_level="workload-low",type="regular"}} 7
{_COUNT}{{flow_schema="ours",priority_level="workload-high",type="regular"}} 1
{_COUNT}{{flow_schema="ours",priority_level="workload-low",type="watch"}} 5
{_COUNT}{{flow_schema="ours-too",priority_level="workload-low",type="regular"}} 9
apiserver_request_total{{code="200",resource="pods",scope="resource",subresource="log",verb="CONNECT"}} 1.2e+01
apiserver_request_total{{code="200",resource="pods",scope="resource",subresource="",verb="GET"}} 99
"""


def test_the_api_servers_count_is_that_of_one_schema() -> None:
    assert parse(METRICS, "ours") == Count(8, 5, 12)
    assert parse("", "ours") == Count(0, 0, 0)
    assert Count(8, 5, 12).since(Count(1, 2, 3)) == Count(7, 3, 9)


def test_a_schema_selects_one_account_alone() -> None:
    (rule,) = schema("n", "hospital", "v6-node-launcher")["spec"]["rules"]
    account = {"namespace": "hospital", "name": "v6-node-launcher"}
    assert rule["subjects"] == [{"kind": "ServiceAccount", "serviceAccount": account}]


def test_the_gate_is_from_the_first_check_to_its_pass() -> None:
    def said(second: int, event: str) -> dict[str, str]:
        return {"time": f"2026-01-01T00:00:{second:02}.500+00:00", "event": event}

    events = [said(1, "checking the isolation"), said(9, "the isolation holds"), said(20, "checking the isolation")]
    assert gate_seconds(events) == 8.0
    with pytest.raises(StageError, match="the isolation holds"):
        gate_seconds(events[:1])


def test_bare_things_meet_pod_security_restricted_and_their_conditions_are_known() -> None:
    for spec in (bare_pod("i")["spec"], bare_job("i")["spec"]["template"]["spec"]):
        (container,) = spec["containers"]
        assert (spec["securityContext"]["runAsNonRoot"], container["securityContext"]["capabilities"]) == (
            True,
            {"drop": ["ALL"]},
        )
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "False"}]}}
    assert [has_condition(ready, kind) for kind in ("Ready", "X", "Y")] == [True, False, False]
    assert not has_condition({}, "Ready")


async def test_many_things_are_done_so_many_at_a_time_and_answered_in_their_order() -> None:
    now, most = 0, 0

    async def do(number: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001 * (number % 3))
        now -= 1
        return number * 2

    assert await crowd.each(range(20), do, at_once=4) == [number * 2 for number in range(20)]
    assert most == 4


@pytest.fixture
def record(tmp_path: Path) -> Record:
    record = Record.begin(tmp_path / "results.json", quick=True)
    measurements = [Measurement(key, goal.bound, 1.0) for key, goal in GOALS.items()]
    found = Found(measurements, {"x, s": [1.0, 2.0]}, [{stage.name: float(at) for at, stage in enumerate(STAGES)}])
    record.add("all", found, time.time() - 3, (0.1, 0.2, 0.3))
    record.add("other", "StageError: it did not start", time.time(), (0.1, 0.2, 0.3))
    return record


def test_what_was_kept_gives_the_same_table_again(record: Record, tmp_path: Path) -> None:
    again = Record.read(tmp_path / "results.json")
    assert page.table(again) == page.table(record)
    assert again.told["benchmarks"]["all"]["samples"] == {"x, s": [1.0, 2.0]}
    assert "`other` broke: StageError: it did not start" in page.table(again)
    assert "not to quote" in page.circumstances(again)
    commits = {entry["product"]["commit"] for entry in again.told["benchmarks"].values()}
    assert all(commit in page.circumstances(again) for commit in commits)


def test_one_that_is_measured_anew_replaces_itself_and_keeps_the_others(record: Record, tmp_path: Path) -> None:
    again = Record.read(tmp_path / "results.json")
    again.add("other", Found([], {"y, s": [3.0]}), time.time(), (0.1, 0.2, 0.3))
    told = Record.read(tmp_path / "results.json").told["benchmarks"]
    assert set(told) == {"all", "other"} and told["other"]["samples"] == {"y, s": [3.0]}
    assert "broke" not in page.table(again)


def test_pictures_are_drawn(record: Record, tmp_path: Path) -> None:
    files = page.write(record, tmp_path)
    assert [file.name for file in files] == ["table.md", page.GOALS_PICTURE, page.WATERFALL]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files[1:])


def test_without_measurements_there_is_a_table_and_no_picture(tmp_path: Path) -> None:
    files = page.write(Record.begin(tmp_path / "results.json", quick=False), tmp_path)
    assert [file.name for file in files] == ["table.md"]


def test_publishing_replaces_what_was_published_before(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, glance = tmp_path / "benchmarks.md", tmp_path / "README.md"
    for name, file in {"PAGE": shown, "README": glance}.items():
        file.write_text(f"Before.\n{page.BEGIN}\nfrom last year\n{page.END}\nAfter.\n")
        monkeypatch.setattr(page, name, file)
    monkeypatch.setattr(page, "IMAGES", tmp_path / "images")
    monkeypatch.setattr(page, "SAMPLES", tmp_path / "benchmarks.json")
    folder = tmp_path / "results"
    folder.mkdir()
    page.write(record, folder)
    for _ in range(2):
        page.publish(record, folder)
    for text in (shown.read_text(), glance.read_text()):
        assert text.startswith("Before.\n") and text.endswith("\nAfter.\n")
        assert "from last year" not in text
        assert text.count(page.BEGIN) == 1
        assert page.table(record) in text
    assert f"(images/{page.WATERFALL})" in shown.read_text()
    assert f"(docs/images/{page.GOALS_PICTURE})" in glance.read_text()
    assert (tmp_path / "images" / page.GOALS_PICTURE).exists()
    assert page.table(Record.read(tmp_path / "benchmarks.json")) == page.table(record)


@pytest.mark.parametrize("file", [page.PAGE, page.README], ids=lambda file: file.name)
def test_the_pages_have_a_place_for_the_figures(file: Path) -> None:
    text = file.read_text()
    assert text.index(page.BEGIN) < text.index(page.END)


def test_few_rounds_are_fewer() -> None:
    assert (QUICK.runs, QUICK.rounds, QUICK.crowd, QUICK.at_once) < (FULL.runs, FULL.rounds, FULL.crowd, FULL.at_once)
    assert (FULL.runs, FULL.crowd, FULL.at_once) == (100, 200, 50)


def test_what_is_of_no_namespace_is_removed_if_its_process_is_no_more() -> None:
    host = socket.gethostname()[:40]
    owners = {"left": f"{host}-999999999", "mine": f"{host}-{os.getpid()}", "elsewhere": "other-host-999999999"}
    deleted: list[tuple[str, ...]] = []

    class Cluster:
        def get(self, kind: str, *, selector: str) -> list[dict[str, Any]]:
            assert selector == STAGE_LABEL
            return [{"metadata": {"name": name, "labels": {STAGE_LABEL: owner}}} for name, owner in owners.items()]

        def __call__(self, *arguments: str) -> None:
            deleted.append(arguments)

    remove_leftovers(cast(Kubectl, Cluster()))
    kinds = ("flowschemas", "nodes", "persistentvolumes")
    assert deleted == [("delete", kind, "left", "--wait=false") for kind in kinds]
