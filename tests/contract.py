"""The lines of tests/contract.yaml, and which tests hold the node to them, found in the tests' text."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


def lines() -> list[dict[str, Any]]:
    """The contract."""
    return list(yaml.safe_load((FOLDER / "contract.yaml").read_text()))


def marked() -> Iterator[tuple[str, str]]:
    """Each line that a test is marked with, and the test."""
    for path in sorted(FOLDER.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.contract":
                        yield ast.literal_eval(decorator.args[0]), f"{path.relative_to(FOLDER)}::{node.name}"
