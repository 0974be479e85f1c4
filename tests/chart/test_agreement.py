"""What the chart promises of its pods is what the programs in them do."""

import json
from typing import Any

import aiohttp
import typer
import yaml
from aiohttp.test_utils import TestClient, TestServer

from launcher.__main__ import app
from launcher.config.jobs import Caps, Jobs
from launcher.config.kubernetes import Retention, TaskVolume
from launcher.config.node import NodeSection
from launcher.config.profiles import Gpu, ProfileRule, ProfileSettings
from launcher.connection import Connection
from launcher.metricsport import PORT as METRICS_PORT
from launcher.rules import WAIVABLE
from launcher.status import PORT as LAUNCHER_STATUS_PORT
from launcher.status import Status
from proxy import __main__ as proxy_program
from proxy.app import status_application
from tests.chart.rendering import CHART, MINIMAL, case, named, pods, render

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def _pod(role: str) -> dict[str, Any]:
    return pods(render(MINIMAL))[role]["spec"]


def _ports(role: str) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in _pod(role)["containers"][0]["ports"]}


def _probed(role: str) -> set[str]:
    container = _pod(role)["containers"][0]
    probes = [container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert {probe["port"] for probe in probes} == {"status"}
    return {probe["path"] for probe in probes}


async def test_the_launcher_answers_its_probes():
    assert _ports("launcher") == {"status": LAUNCHER_STATUS_PORT, "metrics": METRICS_PORT}
    status = Status(Connection())
    status.waits_for = None
    addresses = await status.serve(port=0)
    try:
        async with aiohttp.ClientSession() as session:
            # Port 0 is another port on each address family.
            port = next(address[1] for address in addresses if ":" not in address[0])
            for path in _probed("launcher"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    assert answer.status == 200, path
    finally:
        await status.close()


async def test_the_proxy_answers_its_probes():
    ports = {"http": proxy_program.PORT, "status": proxy_program.STATUS_PORT, "metrics": proxy_program.METRICS_PORT}
    assert _ports("proxy") == ports
    async with TestClient(TestServer(status_application())) as client:
        for path in _probed("proxy"):
            assert (await client.get(path)).status == 200, path


def test_the_policies_open_the_proxys_own_port():
    objects = render(MINIMAL)
    assert named(objects, "Service", "v6-node-proxy")["spec"]["ports"][0]["targetPort"] == "http"
    for name, way in (("v6-node-algorithm", "egress"), ("v6-node-proxy", "ingress")):
        [rule] = named(objects, "NetworkPolicy", name)["spec"][way]
        assert rule["ports"] == [{"protocol": "TCP", "port": proxy_program.PORT}]


def test_the_proxy_has_time_to_finish():
    needed = proxy_program.DRAIN_SECONDS + proxy_program.SHUTDOWN_SECONDS
    assert _pod("proxy")["terminationGracePeriodSeconds"] > needed


def test_the_launcher_gets_the_variables_it_reads():
    everything = pods(render(case(CHART / "ci" / "everything-values.yaml")))["launcher"]["spec"]
    given = {one["name"] for one in everything["containers"][0]["env"]}
    command = typer.main.get_group(app).commands["run"]
    read = {str(parameter.envvar) for parameter in command.params if parameter.envvar}
    assert {name for name in given if name.startswith("V6_NODE_")} == read


def test_the_launcher_knows_every_setting_and_no_other():
    assert set(VALUES["jobs"]) - {"templates", "lookUpClasses", "quota"} == set(Jobs.model_fields)
    assert set(VALUES["retention"]) == set(Retention.model_fields)
    assert VALUES["retention"] == Retention().model_dump()
    assert VALUES["taskVolume"]["minFreeBytes"] == TaskVolume(claim="").minFreeBytes
    assert set(VALUES["node"]) - {"api_key", "whitelist", "ssh-tunnels", "docker_registries"} == set(
        NodeSection.model_fields
    )


def test_the_schema_knows_every_key_of_a_profile_and_of_a_rule():
    definitions = json.loads((CHART / "values.schema.json").read_text())["definitions"]
    assert set(definitions["profile"]["properties"]) == set(ProfileSettings.model_fields)
    assert set(definitions["profile"]["properties"]["gpu"]["properties"]) == set(Gpu.model_fields)
    assert set(definitions["profileRule"]["properties"]) == set(ProfileRule.model_fields)


def test_the_schema_knows_the_rules_that_can_be_waived():
    schema = json.loads((CHART / "values.schema.json").read_text())
    jobs = schema["properties"]["jobs"]["properties"]
    assert jobs["waive"]["items"]["enum"] == list(WAIVABLE)
    assert set(jobs["caps"]["properties"]) == set(Caps.model_fields)
