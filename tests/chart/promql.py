"""Whether a PromQL expression is one, and asks for metrics and labels that launcher and proxy really export."""

import re

import promql_parser
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

SCRAPED = frozenset({"namespace", "pod", "container", "job", "instance"})
"""Labels that a Prometheus operator's PodMonitor gives to every sample."""
_SAMPLES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def exported(*registries: CollectorRegistry) -> dict[str, frozenset[str]]:
    """The samples that registries export: their names, and the labels of each."""
    found: dict[str, frozenset[str]] = {}
    for registry in registries:
        for collector in registry._collector_to_names:
            if isinstance(collector, MetricWrapperBase):
                for suffix in _SAMPLES[collector._type]:
                    further = {"le"} if suffix == "_bucket" else set()
                    found[collector._name + suffix] = frozenset(collector._labelnames) | further
            else:  # of the process, without free labels
                for family in collector.collect():
                    found |= {sample.name: frozenset(sample.labels) for sample in family.samples}
    return found


def faults(expression: str, known: dict[str, frozenset[str]]) -> list[str]:
    """What is wrong with an expression, in a few words each; Grafana's variables are filled in first."""
    filled = re.sub(r"\$(\{\w+\}|\w+)", lambda found: "5m" if "interval" in found[0] else "filled", expression)
    try:
        tree = promql_parser.parse(filled)
    except ValueError as error:
        return [f"it is no PromQL: {error}"]
    wrong: list[str] = []

    def look(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            wrong.extend(_about_selector(node, known))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            labels = SCRAPED.union(*(known.get(name, frozenset()) for name in names(node)))
            wrong.extend(f"no label {each} to group by" for each in node.modifier.labels if each not in labels)

    promql_parser.walk(tree, lambda node: look(node) or True)
    return wrong if names(tree) else [*wrong, "it asks for no metric"]


def _about_selector(node: promql_parser.VectorSelector, known: dict[str, frozenset[str]]) -> list[str]:
    if node.name not in known:
        return [f"nothing exports {node.name}"]
    labels = known[node.name] | SCRAPED
    asked = [each.name for each in node.matchers.matchers]
    return [f"{node.name} has no label {each}" for each in asked if each not in labels]


def names(tree: promql_parser.Expr) -> set[str]:
    """The metrics that an expression asks for."""
    found: set[str] = set()

    def look(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            found.add(node.name)
        return True

    promql_parser.walk(tree, look)
    return found
