"""What the chart offers to whoever watches a node: it is asked for, it fits the pods, and it names what they export."""

import itertools
import json
import re
from typing import Any

import jsonschema
import promql_parser
import pytest
from aiohttp.test_utils import TestClient, TestServer

import launcher.metrics
import proxy.metrics
from launcher.metricsport import PORT, application
from tests.chart.promql import exported, faults, names
from tests.chart.rendering import CHART, MINIMAL, case, merged, named, pods, render

KNOWN = exported(launcher.metrics.REGISTRY, proxy.metrics.REGISTRY)
EVERYTHING = case(CHART / "ci" / "everything-values.yaml")
DASHBOARD: dict[str, Any] = json.loads((CHART / "dashboards" / "v6-node.json").read_text())
SCRAPER = {"monitoring": {"scraper": {"namespaceSelector": {"kubernetes.io/metadata.name": "monitoring"}}}}
DURATION = {"type": "string", "pattern": "^([0-9]+(ms|[smhdwy]))+$"}
TEXTS = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}


def strict(**properties: Any) -> dict[str, Any]:
    """An object that has all of these, and nothing else."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


# As in https://prometheus-operator.dev/docs/api-reference/api; of what may be left out, what the chart uses.
ALERT = strict(
    alert={"type": "string", "pattern": "^V6Node[A-Z][A-Za-z]+$"},
    expr={"type": "string", "minLength": 1},
    labels=strict(severity={"enum": ["critical", "warning"]}),
    annotations=strict(
        summary={"type": "string", "pattern": r"\.$"}, description={"type": "string", "pattern": r"\.$"}
    ),
    **{"for": DURATION},
)
RULES = strict(
    groups={"type": "array", "items": strict(name={"const": "v6-node"}, rules={"type": "array", "items": ALERT})}
)
SELECTOR = strict(
    matchLabels=TEXTS,
    matchExpressions={
        "type": "array",
        "items": strict(
            key={"type": "string"}, operator={"const": "In"}, values={"type": "array", "items": {"type": "string"}}
        ),
    },
)
ENDPOINT = strict(port={"type": "string"}, path={"type": "string"}, interval=DURATION)
POD_MONITOR = strict(selector=SELECTOR, podMetricsEndpoints={"type": "array", "items": ENDPOINT})


def alerts() -> list[dict[str, Any]]:
    [group] = named(render(EVERYTHING), "PrometheusRule", "v6-node")["spec"]["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


# Nothing that was not asked for


def test_by_default_nothing_is_opened_and_nothing_made(helm: str):
    objects = render(MINIMAL, helm)
    assert {one["kind"] for one in objects} & {"PodMonitor", "PrometheusRule"} == set()
    assert "v6-node-dashboard" not in {one["metadata"]["name"] for one in objects}
    assert str(PORT) not in json.dumps([one for one in objects if one["kind"] == "NetworkPolicy"])


@pytest.mark.parametrize("role", ["launcher", "proxy"])
@pytest.mark.parametrize("pod_labels", [{}, {"app.kubernetes.io/name": "prometheus"}], ids=["any pod", "a pod"])
def test_a_scraper_reaches_the_metrics_and_nothing_else(helm: str, role: str, pod_labels: dict[str, str]):
    def ingress(values: dict[str, Any]) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = named(render(values, helm), "NetworkPolicy", f"v6-node-{role}")["spec"]["ingress"]
        return rules

    opened = ingress(merged(merged(MINIMAL, SCRAPER), {"monitoring": {"scraper": {"podSelector": pod_labels}}}))
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    peer |= {"podSelector": {"matchLabels": pod_labels}} if pod_labels else {}
    assert opened == [*ingress(MINIMAL), {"ports": [{"protocol": "TCP", "port": PORT}], "from": [peer]}]


@pytest.mark.parametrize("registry", [launcher.metrics.REGISTRY, proxy.metrics.REGISTRY], ids=["launcher", "proxy"])
async def test_the_pod_monitor_finds_what_the_pods_show(registry: Any):
    objects = render(EVERYTHING)
    monitor = named(objects, "PodMonitor", "v6-node")
    jsonschema.validate(monitor["spec"], POD_MONITOR)
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    selector, [endpoint] = monitor["spec"]["selector"], monitor["spec"]["podMetricsEndpoints"]
    found = {role for role, pod in pods(objects).items() if _selected(selector, pod["metadata"]["labels"])}
    assert found == {"launcher", "proxy"}
    for role in found:
        [container] = pods(objects)[role]["spec"]["containers"]
        assert {"name": endpoint["port"], "containerPort": PORT} in container["ports"]
    async with TestClient(TestServer(application(registry))) as client:
        assert (await client.get(endpoint["path"])).status == 200


def _selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    [(key, values)] = [(each["key"], each["values"]) for each in selector["matchExpressions"]]
    return selector["matchLabels"].items() <= labels.items() and labels[key] in values


# Alerts


def test_the_rules_have_the_format_of_the_operator():
    rule = named(render(EVERYTHING), "PrometheusRule", "v6-node")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    jsonschema.validate(rule["spec"], RULES)
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert [one["alert"] for one in alerts()] == ["V6NodeOffline", "V6NodeResultsWait", "V6NodeIsolationNotProven"]


def test_alerts_are_about_this_node_alone():
    for one in alerts():
        for selector in re.findall(r"v6_node_\w+(\{[^}]*\})?", one["expr"]):
            assert selector == '{namespace="hospital"}', one["expr"]


def test_an_isolation_is_too_old_after_twice_the_time_between_checks():
    assert alerts()[2]["expr"].endswith(f"> {2 * 30 * 60}")


def test_alerts_ask_for_what_is_exported():
    assert {one["alert"]: faults(one["expr"], KNOWN) for one in alerts()} == {one["alert"]: [] for one in alerts()}


# The dashboard


def test_the_dashboard_is_shipped_as_it_is(helm: str):
    shipped = named(render(EVERYTHING, helm), "ConfigMap", "v6-node-dashboard")
    assert json.loads(shipped["data"]["v6-node.json"]) == DASHBOARD
    labels = {"grafana_dashboard": "1", "example.org/dashboard": "grafana"}
    assert labels.items() <= shipped["metadata"]["labels"].items()


def test_the_dashboard_asks_for_what_is_exported():
    assert len(queries()) >= 15
    assert {query: found for query in queries() if (found := faults(query, KNOWN))} == {}


def test_the_dashboard_shows_most_of_what_there_is():
    asked = set().union(*(names(promql_parser.parse(query.replace("$__rate_interval", "5m"))) for query in queries()))
    ours = {name for name in KNOWN if name.startswith("v6_node_") and not name.endswith(("_sum", "_count"))}
    assert len(asked & ours) >= 0.6 * len(ours)


def test_every_query_is_about_the_node_that_was_chosen():
    for query in queries():
        assert query.count('namespace="$namespace"') == len(re.findall(r"\{", query)) > 0, query


def test_the_dashboard_s_variables_are_those_it_has():
    had = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__rate_interval"}
    assert used == had == {"datasource", "namespace"}
    [chosen] = [each["definition"] for each in DASHBOARD["templating"]["list"] if each["name"] == "namespace"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", chosen).groups()  # type: ignore[union-attr]
    assert metric in KNOWN and label == "namespace"


def test_the_panels_are_told_apart_and_do_not_overlap():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["description"].endswith(".")
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    for one, other in itertools.combinations((panel["gridPos"] for panel in panels), 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


# That these tests can fail


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ('rate(v6_node_runs_delivered{namespace="x"}[5m])', "nothing exports v6_node_runs_delivered"),
        ('v6_node_runs{reason="x"}', "v6_node_runs has no label reason"),
        ("sum by (image) (v6_node_runs)", "no label image to group by"),
        ("histogram_quantile(0.9, sum by (le) (v6_node_runs))", "no label le to group by"),
        ("sum by (state) (v6_node_runs", "it is no PromQL"),
        ("rate(v6_node_runs)", "it is no PromQL"),
        ("vector(1)", "it asks for no metric"),
    ],
)
def test_a_wrong_query_is_found(expression: str, complaint: str):
    assert any(complaint in one for one in faults(expression, KNOWN))


def test_a_rule_with_a_misspelt_key_is_found():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"groups": [{"name": "v6-node", "rules": [{**alerts()[0], "foor": "10m"}]}]}, RULES)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"groups": [{"name": "v6-node", "rules": [{**alerts()[0], "for": "ten minutes"}]}]}, RULES)
