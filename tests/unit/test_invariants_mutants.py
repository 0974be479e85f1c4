"""Each single check matters: without it, some manifest would be judged otherwise than the other tests demand.

The modules of the rules are taken apart: one rule of a table after the other is replaced by one that lets everything
through, one `yield` after the other is left out. The judgements on all the broken manifests have to change each time.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import launcher
from launcher.networkpolicies import selecting
from tests.unit.broken_rules import (
    CAP_CASES,
    CASES,
    COMPANION,
    COMPANION_CASES,
    POD,
    capped,
    changed,
    nothing_selects,
    rendered,
)
from tests.unit.example_context import context, profile

MODULES = ["userrules", "mountrules", "containerrules", "podrules", "invariants"]
SOURCES = {name: (Path(launcher.__file__).parent / f"{name}.py").read_text() for name in MODULES}
RULE_MAKERS = {
    *("exactly", "one_of", "single", "at_least", "each", "fields", "names", "quantity"),
    *("user", "group", "non_root"),
}
RULES_BY_NAME = {"text", "truth", "hidden", "SECCOMP", "APPARMOR", "MOUNT", "read_only", "own"}

Judge = Callable[[], list[list[str]]]


def _examples() -> list[tuple[dict[str, Any], Any, Any]]:
    """Manifests with the context that they are judged by and the policies of the namespace."""
    allowed = context(profile=profile(extra_images=(COMPANION["image"],)))
    with_device = {"requests": {"cpu": 1, "memory": 1}, "limits": {"memory": 1, "nvidia.com/gpu": 1}}
    device = context(profile=profile(resources=with_device))
    root = context(profile=profile(run_as_user=0))
    short = context(profile=profile(max_deadline_seconds=60))
    labelled = context(profile=profile(pod_labels={"team": "a"}))
    reserved = context(profile=profile(pod_labels={"app.kubernetes.io/instance": "a"}))
    open_policy = [{"metadata": {"name": "open"}, "spec": {"podSelector": {"matchLabels": {"team": "a"}}}}]
    return [
        *((changed(path, value), context(), nothing_selects) for path, value, _ in CASES),
        *((changed(path, value, capped(caps)), capped(caps), nothing_selects) for caps, path, value, _ in CAP_CASES),
        *(
            (changed(f"{POD}.containers.+", {**COMPANION, **parts}), allowed, nothing_selects)
            for parts, _ in COMPANION_CASES
        ),
        *(
            (changed(f"{POD}.initContainers", [{**COMPANION, **parts}]), allowed, nothing_selects)
            for parts, _ in COMPANION_CASES
            if "restartPolicy" not in parts
        ),
        (changed(f"{POD}.initContainers", [{**COMPANION, "restartPolicy": "Never"}]), allowed, nothing_selects),
        (
            changed("spec.template.spec.containers.0.resources.limits.<nvidia.com/gpu>", 2, device),
            device,
            nothing_selects,
        ),
        (rendered(root), root, nothing_selects),
        (rendered(short), short, nothing_selects),
        (rendered(reserved), reserved, nothing_selects),
        (
            rendered(labelled),
            labelled,
            lambda labels: selecting(open_policy, labels),
        ),
    ]


EXAMPLES = _examples()


class Mutator(ast.NodeTransformer):
    """Takes away the check with one number; counts them all."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.count = 0
        self.line = 0

    def _hit(self, node: ast.AST) -> bool:
        self.count += 1
        if self.count - 1 != self._target:
            return False
        self.line = getattr(node, "lineno", 0)
        return True

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A rule that a table is made of."""
        if isinstance(node.func, ast.Name) and node.func.id in RULE_MAKERS and self._hit(node):
            return ast.copy_location(ast.Name("anything", ast.Load()), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A rule that a table has by its name."""
        if isinstance(node.ctx, ast.Load) and node.id in RULES_BY_NAME and self._hit(node):
            return ast.copy_location(ast.Name("anything", ast.Load()), node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """A finding."""
        if isinstance(node.value, ast.Yield | ast.YieldFrom) and self._hit(node):
            return ast.copy_location(ast.parse("yield from ()").body[0], node)
        return self.generic_visit(node)


def _mutant(name: str, number: int) -> tuple[ast.Module, Mutator]:
    mutator = Mutator(number)
    tree = mutator.visit(ast.parse(SOURCES[name]))
    tree.body[1:1] = ast.parse("from launcher.allowlist import anything").body
    return ast.fix_missing_locations(tree), mutator


def _checks(name: str) -> int:
    return _mutant(name, -1)[1].count


@contextmanager
def loaded(name: str, tree: ast.Module) -> Iterator[ModuleType]:
    """launcher.invariants with one module of the rules replaced."""
    names = [f"launcher.{module}" for module in MODULES]
    kept = {full: sys.modules.pop(full, None) for full in names}
    try:
        for module in MODULES:
            if module == name:
                replaced = ModuleType(f"launcher.{name}")
                sys.modules[replaced.__name__] = replaced
                exec(compile(tree, f"{name}.py", "exec"), replaced.__dict__)
            else:
                importlib.import_module(f"launcher.{module}")
        yield sys.modules["launcher.invariants"]
    finally:
        for full, module in kept.items():
            sys.modules.pop(full, None)
            if module is not None:
                sys.modules[full] = module


def judgements(module: ModuleType) -> Iterator[list[str]]:
    for manifest, facts, which in EXAMPLES:
        yield [violation.sentence for violation in module.violations(manifest, facts, which)]


@pytest.fixture(scope="module")
def expected() -> list[list[str]]:
    return list(judgements(importlib.import_module("launcher.invariants")))


def test_every_example_is_refused(expected: list[list[str]]) -> None:
    assert all(expected)


@pytest.mark.parametrize(("name", "number"), [(name, number) for name in MODULES for number in range(_checks(name))])
def test_a_missing_check_is_noticed(name: str, number: int, expected: list[list[str]]) -> None:
    tree, mutator = _mutant(name, number)
    with loaded(name, tree) as module:
        try:
            noticed = any(found != before for found, before in zip(judgements(module), expected, strict=True))
        except (TypeError, KeyError, AttributeError):
            noticed = True
    line = SOURCES[name].splitlines()[mutator.line - 1].strip()
    assert noticed, f"{name}.py:{mutator.line} may go and nobody sees it: {line}"
