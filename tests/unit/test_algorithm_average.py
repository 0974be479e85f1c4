"""The arithmetic of the federated average. Its file is loaded by path: the package around it needs vantage6's tools."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

SOURCE = Path(__file__).parents[1] / "algorithms" / "average" / "average" / "arithmetic.py"
values = st.lists(st.floats(min_value=-1e6, max_value=1e6) | st.just(math.nan), max_size=30)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("arithmetic", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


arithmetic = load()


def test_missing_values_do_not_count() -> None:
    assert arithmetic.summarize([1.5, math.nan, 2]) == {"sum": 3.5, "count": 2}


def test_no_values_are_a_valid_part() -> None:
    assert arithmetic.summarize([]) == {"sum": 0.0, "count": 0}


@given(st.lists(values, min_size=1, max_size=5))
def test_the_federated_average_is_the_average(organizations: list[list[float]]) -> None:
    everything = [value for own in organizations for value in own if not math.isnan(value)]
    parts = [arithmetic.summarize(own) for own in organizations]
    if not everything:
        with pytest.raises(ValueError, match="has a value"):
            arithmetic.combine(parts)
        return
    result = arithmetic.combine(parts)
    assert result["average"] == pytest.approx(math.fsum(everything) / len(everything), rel=1e-12, abs=1e-9)
    assert (result["count"], result["parts"]) == (len(everything), len(organizations))


def test_an_organization_without_a_result_is_not_left_out_silently() -> None:
    with pytest.raises(ValueError, match="1 of 2 organizations delivered no result"):
        arithmetic.combine([{"sum": 1.0, "count": 1}, None])
