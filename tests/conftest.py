"""What a report says of the contract: which of its lines were tried, by which test, and how that ended."""

import pytest

from tests import contract

_ORDER = ("failed", "skipped", "passed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    report.contract = [mark.args[0] for mark in item.iter_markers("contract")]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended: dict[str, dict[str, str]] = {}
    for outcome in _ORDER:
        for report in terminalreporter.getreports(outcome):
            for line in getattr(report, "contract", ()):
                if report.when == "call" or outcome != "passed":
                    ended.setdefault(line, {}).setdefault(report.nodeid.partition("::")[2].partition("[")[0], outcome)
    if not ended:
        return
    terminalreporter.section("the contract with vantage6: line, what it says, test, outcome")
    for entry in contract.lines():
        for test, outcome in ended.get(entry["line"], {}).items():
            terminalreporter.write_line(f"{entry['line']:48} {entry['says'][:60]:60} {outcome:7} {test}")
