"""Each kind of cluster has a page and a values file, and says whether it was run."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "clusters"
CI = ROOT / "charts" / "v6-node" / "ci"
INDEX = (FOLDER / "README.md").read_text()
PAGES = {page.stem: page.read_text() for page in FOLDER.glob("*.md") if page.name != "README.md"}
every_page = pytest.mark.parametrize("name", sorted(PAGES))


def values(name: str) -> dict:
    return yaml.safe_load((CI / f"{name}-values.yaml").read_text())


def test_the_table_has_every_page_and_only_the_local_cluster_was_run():
    rows = re.findall(r"^\| \[[^\]]+\]\((\w+)\.md\) .*\(\S+/ci/(\w+)-values\.yaml\) \| (.*) \|$", INDEX, re.MULTILINE)
    assert sorted(page for page, _, _ in rows) == sorted(PAGES)
    assert all((page, seen) == (file, "rendered only") for page, file, seen in rows)
    assert re.findall(r"^\| the local cluster .* \| (run: .*) \|$", INDEX, re.MULTILINE) == ["run: every cluster test"]


@every_page
def test_a_page_says_first_that_it_was_not_run_and_where_its_values_are(name: str):
    link = f"[{name}-values.yaml](../../charts/v6-node/ci/{name}-values.yaml)"
    assert PAGES[name].split("\n\n")[1].startswith(f"Rendered only, never run. Values: {link}.")
    assert f": docs/clusters/{name}.md.\n" in (CI / f"{name}-values.yaml").read_text()


@every_page
def test_a_page_is_short_and_answers_the_same_questions(name: str):
    assert len(PAGES[name].splitlines()) < 45
    for subject in ("NetworkPolicies", "API server", "DNS", "Storage", "Databases"):
        assert re.search(rf"^- \*\*{subject}", PAGES[name], re.MULTILINE), subject


@every_page
def test_a_page_and_its_values_agree(name: str):
    """Ports, classes and users that the values have are the ones that the page tells of."""
    tree = values(name)
    ports = tree.get("network", {}).get("apiServer", {}).get("ports", [443, 6443])
    assert f"port {ports[-1]}" in PAGES[name]
    storage = tree["taskVolume"]["storageClassName"] if "taskVolume" in tree else ""
    assert not storage or f"`{storage}`" in PAGES[name] or f"name: {storage}" in PAGES[name]
    user = tree.get("securityContext", {}).get("runAsUser")
    assert user is None or f"`{user}`" in PAGES[name]


def test_launcher_and_algorithms_are_one_user_where_the_namespace_has_a_range():
    tree = values("openshift")
    assert tree["jobs"]["securityContext"] == tree["securityContext"]
