"""The tests' algorithms, imported from their own folders as their images do."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

ALGORITHMS = Path(__file__).parents[1] / "algorithms"


@contextmanager
def imported(name: str) -> Iterator[ModuleType]:
    """An algorithm's package, importable until the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ALGORITHMS / name)
        yield importlib.import_module(name)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]
