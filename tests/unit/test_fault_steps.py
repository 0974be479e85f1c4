"""The list of steps is the launcher's own: whatever it calls for a run is a step, or is said not to be one."""

import ast
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from ci.images.recipes import RECIPES, REPOSITORY, copied, read
from tests.faults.image.faulty.steps import NO_STEPS, STEPS
from tests.faults.matrix import EVERY, ONE_FOR_EACH, Fault

# What works on runs, and what the attributes by which it reaches the outside are.
WORKS_ON_RUNS = ("reconciler", "sighting", "starter", "notices", "ending", "delivery", "logfollow")
COLLABORATORS = {
    "_session": "V4Session",
    "_cluster": "Cluster",
    "_files": "TaskFiles",
    "_launch": "Launch",
    "_approval": "Approval",
    "_logs": "LogFollower",
    "_delivery": "Delivery",
}
# The reconciler's own parts, which are read like itself, and what is in memory alone.
WITHIN = {"_sighting", "_notices", "_ending", "_places", "_look_again"}
MODULES = {"audit.write": "write"}
PURE = {"audit.of_job", "audit.of_run"}


def called(module: str) -> set[str]:
    """What a module of the launcher takes of its collaborators, as `Class.name`."""
    found = set()
    for node in ast.walk(ast.parse((REPOSITORY / "launcher" / f"{module}.py").read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        text = ast.unparse(node)
        owner = re.fullmatch(r"(?:self\.(_\w+)|(session))\.(\w+)", text)
        if owner and (owner[1] in COLLABORATORS or owner[2]):
            found.add(f"{COLLABORATORS[owner[1] or '_session']}.{owner[3]}")
        elif text.startswith("audit.") and text not in PURE:
            found.add(MODULES[text])
    return found


def test_every_call_that_reaches_out_is_a_step_or_is_said_to_be_none():
    calls = set().union(*map(called, WORKS_ON_RUNS))
    assert calls == {step.call for step in STEPS} | NO_STEPS.keys()


def test_the_collaborators_are_all_that_work_on_runs_is_given():
    """A new one would be a way out of the process that no step is on."""
    known = {*COLLABORATORS, *WITHIN, "_jobs", "_share_logs", "_may_start", "_lacks_room", "_keep_failed"}
    for module in WORKS_ON_RUNS:
        tree = ast.parse((REPOSITORY / "launcher" / f"{module}.py").read_text())
        for start in ast.walk(tree):
            if isinstance(start, ast.FunctionDef) and start.name == "__init__":
                arguments = {f"_{each.arg}" for each in (*start.args.args, *start.args.kwonlyargs)}
                assert arguments - {"_self", "_limit", "_show"} <= known, module


def test_the_docs_name_every_step_and_every_fault():
    page = " ".join((REPOSITORY / "docs" / "architecture.md").read_text().split())
    tried = page.partition("What is tried against it")[2]
    names = [*(step.name for step in STEPS), *(fault.value for fault in Fault)]
    missing = [name for name in names if name not in tried]
    assert missing == []


def test_steps_are_named_once():
    names = Counter(step.name for step in STEPS)
    assert [name for name, times in names.items() if times > 1] == []


def test_the_matrix_has_one_fault_for_each_step_and_all_of_them():
    assert [case.step for case in ONE_FOR_EACH] == list(STEPS)
    assert {case.step for case in EVERY} == set(STEPS)
    assert {(case.step, case.fault) for case in ONE_FOR_EACH} <= {(case.step, case.fault) for case in EVERY}


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_each_step_names_a_callable_whose_first_argument_tells_the_run(step):
    owner = importlib.import_module(step.module)
    for name in step.call.split("."):
        owner = getattr(owner, name)
    first = owner.__code__.co_varnames[1]
    assert first in {"run", "run_id", "name", "manifest", "pod", "job"}


def test_the_shipped_image_has_no_hook():
    """Its files are the product's own, none of the tests' is among them, and none knows of any."""
    shipped = read(RECIPES["v6-node"])
    assert set(copied(shipped.dockerfile)) == {"requirements.lock", "launcher", "proxy", "templates"}
    hook = {path.stem for path in (REPOSITORY / "tests" / "faults" / "image" / "faulty").glob("*.py")}
    assert {"seam", "steps", "director"} <= hook
    for path, (content, _) in shipped.files.items():
        if path != "requirements.lock":
            assert not re.search(rb"faulty|FAULTY|addaudithook|os\.kill\((?!process, 0\))|signal\.SIGKILL", content), (
                path
            )
    names = {part for path in shipped.files for part in Path(path).parts}
    assert not names & {"faulty", "seam.py", "sitecustomize.py", "usercustomize.py"}
    assert "PYTHONPATH" not in shipped.dockerfile


def test_the_test_image_is_the_product_and_one_layer():
    recipe = RECIPES["v6-node-faults"]
    assert recipe.base == "v6-node"
    lines = [line for line in recipe.dockerfile.read_text().splitlines() if line and line[0] != "#"]
    assert lines[:2] == ["ARG BASE_IMAGE=v6-node", "FROM ${BASE_IMAGE}"]
    assert [line.split()[0] for line in lines[2:]] == ["ENV", "ENTRYPOINT", "COPY"]
