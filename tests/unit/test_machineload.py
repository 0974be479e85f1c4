"""The machine's load, of the kernel's own tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.machineload import cpu_times, load, memory

MEMORY = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n"


def test_idle_and_waiting_for_disks_are_not_busy():
    assert cpu_times("cpu  10 1 20 60 5 1 2 1 7 8\ncpu0 1 2 3\n") == (35, 100)


def test_memory_is_in_bytes():
    assert memory(MEMORY) == (1_024_000, 256_000)


@pytest.mark.contract("§12 node_metrics_update")
def test_a_report():
    found = load((100, 1000), (150, 1200), MEMORY, 3)
    assert found["cpu_percent"] == 25.0
    assert found["memory_percent"] == 75.0
    assert found["num_algorithm_containers"] == 3
    assert found["memory_available"] == 256_000


@given(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)))
def test_no_time_between_two_looks_is_no_load(times: tuple[int, int]):
    assert load(times, times, MEMORY, 0)["cpu_percent"] == 0.0
