"""The node's load as a real server shows it to Prometheus: each metric of vantage6, and those that are left out."""

import asyncio
import platform
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from launcher.machineload import load
from tests.server.sessions import Way
from tests.stage.federation import Collaboration, Federation
from tests.stage.server import Server
from tests.stage.waiting import wait_until

MEMORY = "MemTotal: 1000 kB\nMemAvailable: 250 kB\n"
Shown = dict[str, tuple[dict[str, str], float]]


@pytest.fixture(scope="module")
def metrics_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), metrics_port=metrics_port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def collaboration(federation: Federation) -> Collaboration:
    return federation.collaboration("Study", [federation.organization("Hospital")])


def shown(port: int) -> Shown:
    """What the server's gauges say of nodes, with their labels."""
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name: (sample.labels, sample.value) for sample in samples if "node_id" in sample.labels}


@pytest.mark.contract("§12 cpu_percent")
@pytest.mark.contract("§12 memory_percent")
@pytest.mark.contract("§12 num_algorithm_containers")
@pytest.mark.contract("§12 os and platform")
@pytest.mark.contract("§12 cpu_count")
@pytest.mark.contract("§12 memory_total")
@pytest.mark.contract("§12 memory_available")
@pytest.mark.contract("§12 gpu")
async def test_each_metric_is_a_gauge_with_its_value(server: Server, collaboration: Collaboration, metrics_port: int):
    told: dict[str, Any] = load((100, 1000), (150, 1200), MEMORY, 3)
    async with Way(server, "polling").online(collaboration) as (session, _):
        await session.share_load(dict(told))
        await asyncio.to_thread(wait_until, lambda: shown(metrics_port), 10, lambda: server.log.read_text()[-2000:])
    gauges = await asyncio.to_thread(shown, metrics_port)
    assert {name: value for name, (_, value) in gauges.items()} == {
        "cpu_percent": 25.0,
        "memory_percent": 75.0,
        "num_algorithm_containers": 3.0,
        "cpu_count": float(told["cpu_count"]),
        "memory_total": 1_024_000.0,
        "memory_available": 256_000.0,
    }, "and nothing of a GPU"
    labels = {"node_id": str(collaboration.nodes[0].id), "os": "Linux", "platform": platform.platform()}
    assert [found for found, _ in gauges.values()] == [labels] * 6
    page = (Path(__file__).parents[2] / "docs" / "session.md").read_text()
    assert "`gpu_…` are left out" in page
