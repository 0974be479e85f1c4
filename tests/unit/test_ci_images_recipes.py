"""What images are made of: the Dockerfiles themselves, and the digest that names an image."""

from pathlib import Path

import pytest

from ci.images.engine import BASE_IMAGE
from ci.images.recipes import RECIPES, REPOSITORY, BuildError, Recipe, copied, read

ALGORITHM_NAMES = ("average", "behave")
WITH_PYTHON = [name for name in RECIPES if "pip install" in RECIPES[name].dockerfile.read_text()]
PLAIN_PYTHON = ["poc-average"]  # has no dependencies
DEBIAN = "docker.io/library/debian:12-slim"


def recipe_in(folder: Path) -> Recipe:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "a.py").write_text("one = 1\n")
    (folder / "lock").write_text("x==1\n")
    (folder / "Dockerfile").write_text("FROM base\nCOPY lock ./\nCOPY code ./code\n")
    return Recipe("thing", folder / "Dockerfile", folder)


def test_copied_reads_sources_from_the_context_only() -> None:
    text = "FROM a\nCOPY one two /x/\nRUN echo \\\n  COPY\nCOPY --chmod=644 three ./\nCOPY --from=builder /out /out\n"
    assert copied(text) == ["one", "two", "three"]


def test_the_digest_follows_every_input(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    seen = [read(recipe).digest("base")]
    for change in (
        lambda: (tmp_path / "code" / "a.py").write_text("one = 2\n"),
        lambda: (tmp_path / "code" / "a.py").chmod(0o755),
        (tmp_path / "code" / "b.py").touch,
        lambda: (tmp_path / "lock").write_text("x==2\n"),
        lambda: recipe.dockerfile.write_text(recipe.dockerfile.read_text() + "USER 1\n"),
    ):
        change()
        seen.append(read(recipe).digest("base"))
    seen.append(read(recipe).digest("another base"))
    assert len(set(seen)) == len(seen)


def test_the_digest_ignores_what_is_not_copied(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    before = read(recipe).digest()
    (tmp_path / "notes.txt").write_text("new")
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.cpython-311.pyc").write_text("new")
    (tmp_path / "code" / "a.py").chmod(0o600)
    assert read(recipe).digest() == before


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    (tmp_path / "lock").unlink()
    with pytest.raises(BuildError, match="copies 'lock', which"):
        read(recipe)


def test_the_context_is_readable_whatever_the_umask_was(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    (tmp_path / "code" / "a.py").chmod(0o700)
    (tmp_path / "lock").chmod(0o600)
    target = tmp_path / "context"
    target.mkdir()
    read(recipe).write(target)
    assert (target / "lock").stat().st_mode & 0o777 == 0o644
    assert (target / "code" / "a.py").stat().st_mode & 0o777 == 0o755
    assert (target / "code" / "a.py").read_text() == "one = 1\n"


@pytest.mark.parametrize("name", RECIPES)
def test_a_user_can_build_on_the_usual_base_or_name_another(name: str) -> None:
    lines = RECIPES[name].dockerfile.read_text().splitlines()
    first = [line for line in lines if line and not line.startswith("#")][:2]
    base = RECIPES[name].base or (BASE_IMAGE if name in [*WITH_PYTHON, *PLAIN_PYTHON] else DEBIAN)
    assert [line.removesuffix(" AS builder") for line in first] == [f"ARG BASE_IMAGE={base}", "FROM ${BASE_IMAGE}"]


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_dependencies_are_installed_by_hash_and_before_sources(name: str) -> None:
    lines = RECIPES[name].dockerfile.read_text().splitlines()
    installs = [number for number, line in enumerate(lines) if "pip install" in line]
    sources = [number for number, line in enumerate(lines) if line.startswith("COPY") and "requirements" not in line]
    assert len(installs) == 1
    assert "--require-hashes" in lines[installs[0]]
    assert installs[0] < min(sources)


def test_the_product_runs_as_nobody_in_particular() -> None:
    lines = RECIPES["v6-node"].dockerfile.read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 65532:65532"]
    assert 'ENTRYPOINT ["python", "-m"]' in lines


def test_dockerignore_lets_through_just_what_the_product_copies() -> None:
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(
        copied(RECIPES["v6-node"].dockerfile.read_text())
    )


def test_algorithms_share_the_layer_with_their_dependencies() -> None:
    def shared(name: str) -> list[str]:
        lines = [line for line in RECIPES[name].dockerfile.read_text().splitlines() if line and line[0] != "#"]
        return lines[: 1 + next(number for number, line in enumerate(lines) if line.startswith("RUN"))]

    first, *others = [shared(name) for name in ALGORITHM_NAMES]
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_an_algorithm_is_a_package_and_leaves_the_user_to_the_node(name: str) -> None:
    text = RECIPES[name].dockerfile.read_text()
    assert f"PKG_NAME={name}" in text
    assert "USER" not in [line.split()[0] for line in text.splitlines() if line]
    assert f"{name}/{name}" in copied(text)
    assert (RECIPES[name].context / name / name / "__init__.py").is_file()
