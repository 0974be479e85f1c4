"""What the chart's tests share: each test of a rendering runs with helm 3 and with helm 4."""

import pytest

from tests.chart.rendering import CASES, HELMS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `helm` with each helm, and one that takes `case_file` with each values file."""
    if "helm" in metafunc.fixturenames:
        metafunc.parametrize("helm", HELMS)
    if "case_file" in metafunc.fixturenames:
        metafunc.parametrize("case_file", CASES, ids=lambda path: path.name.removesuffix("-values.yaml"))
