"""A gate is in no hurry; tests are."""

from pathlib import Path

import pytest

from launcher import gate as module


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_RETRY", 0.01)
    monkeypatch.setattr(module, "_LONGEST_RETRY", 0.02)
    monkeypatch.setattr(module, "_SETTLE", 0.01)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "isolation.json"
