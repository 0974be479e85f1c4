"""Pages name values that the chart has, files that exist, and headings that are there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "v6-node"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# What templates may use has names of its own, some of which look like those of values.
VARIABLES = "template-reference.md"
FILES = {"node.yaml"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    CHART / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def known(path: str) -> bool:
    """Whether the schema has a key, or lets any key be there."""
    found: dict[str, Any] = SCHEMA
    for key in path.split("."):
        if "$ref" in found:
            found = SCHEMA["definitions"][found["$ref"].removeprefix("#/definitions/")]
        found = found.get("items", found)
        others = found.get("additionalProperties", "object" in found.get("type", "object"))
        any_key = [*found.get("patternProperties", {}).values(), others]
        below = found.get("properties", {}).get(key, any_key[0])
        if below is False:
            return False
        if below is True:
            return True
        found = below
    return True


def named(text: str) -> Iterator[str]:
    """What a page has in backticks that begins like a value: `jobs.caps`, `taskVolume.keep: false`."""
    sections = "|".join(SCHEMA["properties"])
    for found in re.finditer(rf"`((?:{sections})(?:\.[\w-]+)+)(?:: [^`]*)?`", text):
        yield found[1]


@every_page
def test_a_page_names_values_that_there_are(page: Path):
    unknown = {name for name in named(page.read_text()) if not known(name)}
    if page.name == VARIABLES:
        return
    variables = set(re.findall(r"`([\w.]+)`", (ROOT / "docs" / VARIABLES).read_text()))
    assert unknown - variables - FILES == set()


def test_a_value_that_is_none_is_noticed():
    there = ["jobs.caps.cpu", "jobs.profiles.gpu.template", "network.dns.podSelector.x", "node.databases.uri"]
    assert [name for name in there if not known(name)] == []
    assert [
        name for name in ("jobs.cap", "network.dns.ports", "jobs.profiles.gpu.x", "image.tag.x") if known(name)
    ] == []
    assert list(named("`jobs.caps`, `taskVolume.keep: false` and `a.b`")) == ["jobs.caps", "taskVolume.keep"]


def anchors(page: Path) -> set[str]:
    """What a heading of a page is linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page: Path):
    lost = []
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert lost == []


def test_every_page_is_found_from_the_readme():
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
        waiting += [path for path in ((page.parent / link).resolve() for link in links) if path.suffix == ".md"]
    assert set(PAGES) - seen == set()


def test_the_chart_s_page_has_each_values_file_with_what_its_first_line_says():
    rows = re.findall(
        r"^\| \[([\w-]+)\]\(ci/([\w-]+)-values\.yaml\) \| (.*) \|$", (CHART / "README.md").read_text(), re.M
    )
    files = {file.name.removesuffix("-values.yaml"): file for file in (CHART / "ci").glob("*-values.yaml")}
    assert sorted(name for name, _, _ in rows) == sorted(files)
    for name, file, about in rows:
        assert name == file
        assert files[name].read_text().startswith(f"# {about}\n")
