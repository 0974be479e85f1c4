"""The page on monitoring has every metric, state, stage, cause and alert there is, and no other."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

import launcher.metrics
import proxy.metrics
from launcher.progress import TIMED, State
from launcher.runs import Cause

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
_SUFFIX = {"counter": "_total", "gauge": "", "histogram": ""}


def table() -> str:
    """What the page has to have between the marks."""
    rows = [
        f"| `{each._name}{_SUFFIX[each._type]}` "
        f"| {each._type} | {', '.join(each._labelnames)} | {each._documentation} |"
        for module in (launcher.metrics, proxy.metrics)
        for each in vars(module).values()
        if isinstance(each, MetricWrapperBase)
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])


def test_the_table_of_metrics_is_current():
    found = re.search(r"<!-- metrics: [^>]* -->\n(.*?)\n?<!-- end of metrics -->", PAGE, re.DOTALL)
    assert found
    assert found[1] == table()


@pytest.mark.parametrize(
    ("mark", "words"),
    [("states", list(State)), ("stages", TIMED), ("causes", list(Cause))],
    ids=lambda value: str(value)[:6],
)
def test_each_word_is_explained(mark: str, words: list[str]):
    found = re.search(rf"<!-- {mark} -->(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found
    assert sorted(re.findall(r"`([^`]+)`", found[1])) == sorted(words)


def test_each_alert_is_explained():
    rule = (ROOT / "charts/v6-node/templates/monitoring/prometheusrule.yaml").read_text()
    alerts = re.findall(r"alert: (\w+)", rule)
    assert re.findall(r"^\| `(V6Node\w+)`", PAGE, re.MULTILINE) == alerts
    assert len(alerts) >= 2


def test_each_value_that_is_named_is_one_of_the_chart():
    values = yaml.safe_load((ROOT / "charts/v6-node/values.yaml").read_text())
    named = re.findall(r"`((?:retention|taskVolume|isolation)\.\w+)`", PAGE)
    assert set(named) >= {f"retention.{key}" for key in values["retention"]}
    for name in named:
        section, key = name.split(".")
        assert key in values[section]


def test_the_page_is_found():
    assert "docs/monitoring.md" in (ROOT / "README.md").read_text()
