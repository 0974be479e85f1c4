"""Each single check matters: without it, some manifest would be judged otherwise than the other tests demand.

The modules of the rules are taken apart: one rule of a table after the other is replaced by one that lets everything
through, one `yield` after the other is left out. The judgements on all the broken manifests have to change each time.
"""

import ast
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import launcher
from launcher.jobcontext import Context, DatabaseMount
from launcher.networkpolicies import selecting
from tests.unit.broken_rules import CASES
from tests.unit.changed_job import BOX, COMPANION, GONE, POD, changed, nothing_selects, rendered
from tests.unit.example_context import context, profile
from tests.unit.fair_changes import FAIR_CASES
from tests.unit.site_rules import CAP_CASES, COMPANION_CASES, capped, claiming

MODULES = ["allowlist", "userrules", "mountrules", "containerrules", "podrules", "invariants"]
SOURCES = {name: (Path(launcher.__file__).parent / f"{name}.py").read_text() for name in MODULES}
RULE_MAKERS = {
    *("exactly", "one_of", "single", "at_least", "each", "fields", "names", "quantity"),
    *("user", "group", "non_root"),
}
RULES_BY_NAME = {"text", "truth", "hidden", "SECCOMP", "APPARMOR", "MOUNT", "read_only", "own"}

RESERVED = [
    *("v6-node.vantage6.ai/x", "batch.kubernetes.io/job-name"),
    *("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"),
    "kueue.x-k8s.io/queue-name",
]
"""Names that values can't give."""

NOTHING = "yield from ()"
Judgement = list[tuple[str, str]]
TYPES = {"Callable", "Mapping", "Iterator", "list", "dict", "tuple", "set"}


Example = tuple[Any, Context, Callable[[Mapping[str, str]], set[str]]]


def _examples() -> list[Example]:
    """Manifests with the context that they are judged by and the policies of the namespace."""
    usual = [
        *((changed(path, value), context()) for path, value, _ in CASES),
        *((changed(path, value), context()) for path, value in FAIR_CASES),
        *((changed(path, value, capped(caps)), capped(caps)) for caps, path, value, _ in CAP_CASES),
        *_companions(),
        *_sites(),
        ([], context()),
    ]
    return [*((manifest, facts, nothing_selects) for manifest, facts in usual), *_policed()]


def _companions() -> Iterator[tuple[Any, Context]]:
    listed = context(profile=profile(extra_images=(COMPANION["image"],)))
    changes: list[dict[str, Any]] = [{}, *(parts for parts, _ in COMPANION_CASES)]
    for parts in changes:
        yield changed(f"{POD}.containers.+", {**COMPANION, **parts}), listed
        yield changed(f"{POD}.initContainers", [{**COMPANION, **parts}]), listed
    yield changed(f"{POD}.initContainers", [{**COMPANION, "restartPolicy": "Never"}]), listed
    mounts = rendered(listed)["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    yield changed(f"{POD}.initContainers", [{**COMPANION, "name": "algorithm", "volumeMounts": mounts}]), listed


def _sites() -> Iterator[tuple[Any, Context]]:
    """What values change about the rules."""
    bounds = {"requests": {"cpu": 1, "memory": 1}, "limits": {"memory": 1, "nvidia.com/gpu": 1}}
    device = context(profile=profile(resources=bounds))
    yield rendered(device), device
    yield changed(f"{BOX}.resources.limits.<nvidia.com/gpu>", 2, device), device
    for most in (1, 0.5):
        counted = context(profile=profile(resources=bounds, caps={"devices": most}))
        yield rendered(counted), counted
    claim = claiming()
    yield rendered(claim), claim
    for path in (f"{POD}.resourceClaims", f"{BOX}.resources.claims"):
        yield changed(path, [{"name": "other"}], claim), claim
    short = context(profile=profile(max_deadline_seconds=2592000))
    yield rendered(short), short
    for deadline in (2592001, "soon"):
        yield changed(f"{POD}.activeDeadlineSeconds", deadline), short
    yield changed(f"{BOX}.resources.requests.<nvidia.com/gpu>", 1, device), device
    yield changed(f"{BOX}.resources.limits.<nvidia.com/gpu>", 0, device), device
    asked = {"requests": {"cpu": 1, "memory": 1, "nvidia.com/gpu": 2}, "limits": {"memory": 1}}
    by_request = context(profile=profile(resources=asked))
    yield rendered(by_request), by_request
    sandboxed = context(profile=profile(priority_class_name="low", runtime_class_name="gvisor"))
    yield rendered(sandboxed), sandboxed
    yield changed(f"{POD}.runtimeClassName", "kata", sandboxed), sandboxed
    yield changed(f"{POD}.runtimeClassName", GONE, sandboxed), sandboxed
    given = context(profile=profile(pod_labels={"team": "a"}, pod_annotations={"karpenter.sh/do-not-disrupt": "false"}))
    yield rendered(given), given
    yield changed("spec.template.metadata.labels.team", "b", given), given
    yield changed("metadata.labels.team", "a", given), given
    queued = context(run=replace(context().run, queue="algorithms"))
    yield rendered(queued), queued
    yield changed("spec.suspend", False, queued), queued
    yield changed("spec.suspend", GONE, queued), queued
    yield changed("metadata.labels.<kueue.x-k8s.io/queue-name>", "others", queued), queued
    yield changed("spec.template.metadata.labels.<kueue.x-k8s.io/queue-name>", "algorithms", queued), queued
    yield changed("metadata.labels.<kueue.x-k8s.io/queue-name>", "algorithms"), context()
    bare = replace(context().run, labels={"v6-node.vantage6.ai/run-id": "12"})
    for prefix in RESERVED:
        yield from _rendered(
            context(run=bare, profile=profile(pod_labels={prefix: "a"}, pod_annotations={prefix: "a"}))
        )
    yield from _rendered(context(profile=profile(run_as_user=0)))
    yield from _rendered(context(databases=(DatabaseMount("x", "v6-node-tasks", "runs", "/mnt/x"),)))
    waived = context(profile=profile(waived=frozenset({"mounts"})))
    yield changed(f"{POD}.volumes", GONE, waived), waived


def _rendered(facts: Context) -> Iterator[tuple[Any, Context]]:
    yield rendered(facts), facts


def _policed() -> Iterator[Example]:
    """Labels that a policy of the namespace selects: the second one, and two of them together."""
    facts = context(profile=profile(pod_labels={"colour": "a", "team": "a"}))
    for chosen in ({"team": "a"}, {"colour": "a", "team": "a"}):
        policies = [{"metadata": {"name": "open"}, "spec": {"podSelector": {"matchLabels": chosen}}}]
        yield rendered(facts), facts, partial(selecting, policies)


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
            return ast.copy_location(ast.Name("everything", ast.Load()), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A rule that a table has by its name."""
        if isinstance(node.ctx, ast.Load) and node.id in RULES_BY_NAME and self._hit(node):
            return ast.copy_location(ast.Name("everything", ast.Load()), node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        """A condition: never, and always."""
        for always in (False, True):
            if self._hit(node.test):
                node.test = ast.copy_location(ast.Constant(always), node.test)
                return node
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """A part of a condition."""
        return self._shortened(node, node.values, node.values)

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        """A word of a list."""
        return self._shortened(node, node.elts, [each for each in node.elts if isinstance(each, ast.Constant)])

    def visit_Set(self, node: ast.Set) -> ast.AST:
        """A word of a set."""
        return self._shortened(node, node.elts, [each for each in node.elts if isinstance(each, ast.Constant)])

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        """A line of a table."""
        for index, value in enumerate(node.values):
            if isinstance(node.keys[index], ast.Constant) and self._hit(value):
                del node.keys[index], node.values[index]
                return node
        return self.generic_visit(node)

    def _shortened(self, node: ast.AST, parts: list[ast.expr], candidates: list[ast.expr]) -> ast.AST:
        for part in list(candidates):
            if self._hit(part):
                parts.remove(part)
                return parts[0] if isinstance(node, ast.BoolOp) and len(parts) == 1 else node
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Types are no checks."""
        return node if isinstance(node.value, ast.Name) and node.value.id in TYPES else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """What a function does, not what it says of its arguments' types."""
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        node.body = [self.visit(line) for line in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """A field of a class."""
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """A finding."""
        finds = isinstance(node.value, ast.Yield | ast.YieldFrom) and ast.unparse(node) != NOTHING
        if finds and self._hit(node):
            return ast.copy_location(ast.parse(NOTHING).body[0], node)
        return self.generic_visit(node)


def _mutant(name: str, number: int) -> tuple[ast.Module, Mutator]:
    mutator = Mutator(number)
    tree = mutator.visit(ast.parse(SOURCES[name]))
    tree.body[1:1] = ast.parse(f"def everything(path, value):\n    {NOTHING}").body
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


def judged(module: ModuleType, number: int) -> Judgement:
    manifest, facts, which = EXAMPLES[number]
    return [(violation.rule, violation.sentence) for violation in module.violations(manifest, facts, which)]


def refuses(module: ModuleType, number: int) -> bool:
    try:
        module.check(*EXAMPLES[number])
    except module.InvariantError:
        return True
    return False


class Witnesses:
    """Looks for an example that a mutant judges otherwise, those first that told the latest mutants."""

    def __init__(self) -> None:
        module = importlib.import_module("launcher.invariants")
        self.judgements = [judged(module, number) for number in range(len(EXAMPLES))]
        self._fair, self._foul = (self.judgements.index([]), 0)
        self._order = list(range(len(EXAMPLES)))
        assert self.notice(module) is False

    def notice(self, module: ModuleType) -> bool:
        with suppress(Exception):  # a crash is noticed too
            if refuses(module, self._fair) or not refuses(module, self._foul):
                return True
            for number in self._order:
                if judged(module, number) != self.judgements[number]:
                    self._order.remove(number)
                    self._order.insert(0, number)
                    return True
            return False
        return True


@pytest.fixture(scope="module")
def witnesses() -> Witnesses:
    return Witnesses()


def test_the_examples_are_fair_and_foul(witnesses: Witnesses) -> None:
    foul = sum(bool(judgement) for judgement in witnesses.judgements)
    assert foul >= len(CASES)
    assert len(EXAMPLES) - foul >= len(FAIR_CASES)


@pytest.mark.parametrize(("name", "number"), [(name, number) for name in MODULES for number in range(_checks(name))])
def test_a_missing_check_is_noticed(name: str, number: int, witnesses: Witnesses) -> None:
    tree, mutator = _mutant(name, number)
    line = SOURCES[name].splitlines()[mutator.line - 1].strip()
    with loaded(name, tree) as module:
        assert witnesses.notice(module), f"{name}.py:{mutator.line} may go and nobody sees it: {line}"
