"""What a report ends with: figures, and each line of the contract that was tried, by which tests, and the outcome."""

from typing import Any

import pytest
from hypothesis import settings

from tests import contract, figures

# A busy machine is no fault of the code: no property has to be shown within a time.
settings.register_profile("here", deadline=None)
settings.load_profile("here")

# What ended worst counts, where a test has several cases.
_ORDER = ("error", "failed", "skipped", "passed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    report.contract = [mark.args[0] for mark in item.iter_markers("contract")]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:  # the first process reports for all
        output["figures"] = figures.collected()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for title, lines in getattr(node, "workeroutput", {}).get("figures", ()):
        figures.note(title, *lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, lines in figures.collected():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
    _write_contract(terminalreporter)


def _write_contract(terminalreporter: pytest.TerminalReporter) -> None:
    ended: dict[str, dict[str, str]] = {}
    for outcome in _ORDER:
        for report in terminalreporter.getreports(outcome):
            for line in getattr(report, "contract", ()):
                test = report.nodeid.removeprefix("tests/").partition("[")[0]
                ended.setdefault(line, {}).setdefault(test, outcome)
    if not ended:
        return
    terminalreporter.section("the contract with vantage6: line, what is asserted; outcome and test")
    tried = [entry for entry in contract.lines() if entry["line"] in ended]
    for entry in tried:
        terminalreporter.write_line(f"{entry['line']}: {entry['says']}")
        for test, outcome in ended[entry["line"]].items():
            terminalreporter.write_line(f"    {outcome:7} {test}")
    terminalreporter.write_line(f"{len(tried)} of {len(contract.lines())} lines were tried")
