"""What `up` brings of a configuration file, and what it refuses to guess; and which namespace it labels."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.admin.plan import NamespaceStep, Plan, gives, merged, namespace_step, only_machine, plan
from launcher.admin.up import unusable
from launcher.translate.findings import Site
from launcher.translate.node import translate

CONFIGURATIONS = Path(__file__).parent / "configurations"
GOOD: dict[str, Any] = {
    "api_key": "11111111-2222-4333-8444-555555555555",
    "server_url": "https://vantage6.example.org",
    "port": 443,
    "api_path": "/api",
    "databases": [],
}


def planned(source: dict[str, Any], *extra: dict[str, Any], there: Any = (), machine: str | None = None) -> Plan:
    return plan(translate(source, Site(machine, "north", secrets=True)), extra, there)


def missing(made: Plan) -> list[str]:
    return [key for finding in made.missing for key in finding.keys]


def test_the_key_is_in_a_secret_of_ours_and_the_task_volume_outlives_the_release():
    made = planned(GOOD)
    assert made.values["existingSecret"] == "v6-node-key"
    assert made.values["taskVolume"] == {"keep": True}
    (secret,) = made.secrets
    assert secret["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "v6-node"}
    assert not made.missing


def test_what_has_no_equivalent_is_reported_and_does_not_stop_anything():
    made = planned(GOOD | {"docker_services": {"db": {}}, "vpn_subnet": "10.76.0.0/16", "task_dir": "/srv"})
    assert not made.missing
    assert {key for finding in made.reported for key in finding.keys} >= {"docker_services", "vpn_subnet", "task_dir"}


def test_what_has_to_be_filled_in_stops_it_by_name_with_the_remedy():
    made = planned(GOOD | {"databases": [{"label": "default", "type": "csv", "uri": "/srv/a.csv"}]})
    assert missing(made) == ["databases[0].uri"]
    sentence = unusable("node.yaml", made.missing)
    assert "databases[0].uri" in sentence and "/srv/a.csv" in sentence and "with -f" in sentence


def test_the_machine_that_has_the_files_is_enough():
    source = GOOD | {"databases": [{"label": "default", "type": "csv", "uri": "/srv/a.csv"}]}
    assert planned(source, machine="worker-1").values["node"]["databases"][0]["nodeName"] == "worker-1"
    assert not planned(source, machine="worker-1").missing


def test_further_values_answer_for_a_list_as_a_whole_and_for_a_key_by_itself():
    source = GOOD | {
        "server_url": "https://localhost",
        "databases": [{"label": "a", "type": "csv", "uri": "/srv/a.csv"}],
    }
    databases = {"node": {"databases": [{"label": "a", "type": "csv", "uri": "a.csv", "claim": "c"}]}}
    assert missing(planned(source)) == ["server_url", "databases[0].uri"]
    assert missing(planned(source, databases)) == ["server_url"]
    assert not missing(planned(source, databases, {"node": {"server_url": "https://a.org"}}))
    assert missing(planned(source, {"nodes": {}, "node": {"share_config": True}})) == ["server_url", "databases[0].uri"]


def test_a_secret_that_is_there_already_is_used_for_a_key_that_is_not_in_the_file():
    without = {key: value for key, value in GOOD.items() if key != "api_key"}
    assert missing(planned(without)) == ["api_key"]
    made = planned(without, there=["v6-node-key", "other"])
    assert not made.missing and made.values["existingSecret"] == "v6-node-key"


def test_so_is_the_organizations_private_key():
    source = GOOD | {"encryption": {"enabled": True, "private_key": "/gone.pem"}}
    assert missing(planned(source)) == ["encryption.private_key"]
    made = planned(source, there=["v6-org-key"])
    assert not made.missing and made.values["node"]["encryption"]["existingSecret"] == "v6-org-key"


def test_a_wrong_key_is_not_excused_by_the_secret_of_an_earlier_one():
    assert missing(planned(GOOD | {"api_key": "no key"}, there=["v6-node-key"])) == ["api_key"]


@pytest.mark.parametrize("file", sorted(CONFIGURATIONS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_configuration_is_planned_and_nothing_of_it_is_both_missing_and_reported(file: Path):
    source = yaml.safe_load(file.read_text())
    made = planned(source, machine="worker-1")
    assert made.values["node"].keys() >= {"server_url", "port", "api_path"}
    assert not set(made.missing) & set(made.reported)


TREES = st.recursive(
    st.integers() | st.lists(st.integers()),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@settings(deadline=None)
@given(MAPPINGS, MAPPINGS)
def test_merging_keeps_what_only_one_has_and_takes_the_upper_of_both(below: dict[str, Any], above: dict[str, Any]):
    both = merged(below, above)
    assert both.keys() == below.keys() | above.keys()
    for key in both:
        if key not in above:
            assert both[key] == below[key]
        elif not (isinstance(above[key], dict) and isinstance(below.get(key), dict)):
            assert both[key] == above[key]
    assert merged(both, above) == both


@settings(deadline=None)
@given(MAPPINGS, st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
def test_what_values_give_is_what_wins_when_they_are_merged(values: dict[str, Any], place: list[str]):
    nested: Any = "below"
    for step in reversed(place):
        nested = {step: nested}
    found: Any = merged(nested, values)
    for step in place:
        found = found.get(step, "gone") if isinstance(found, dict) else "gone"
    assert gives(values, tuple(place)) == (found != "below")


def namespace(level: str | None) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
    return {"metadata": {"name": "north", "labels": labels}}


@pytest.mark.parametrize(
    ("there", "others", "what", "words"),
    [
        (None, [], NamespaceStep.MAKE, ""),
        (namespace("restricted"), ["web"], NamespaceStep.LEAVE, ""),
        (namespace(None), [], NamespaceStep.LABEL, "from now on"),
        (namespace(None), ["web", "db"], NamespaceStep.LEAVE, "has other pods (db, web)"),
        (namespace("baseline"), [], NamespaceStep.LEAVE, "--overwrite"),
    ],
)
def test_a_namespace_that_is_the_nodes_alone_is_labelled(
    there: Any, others: list[str], what: NamespaceStep, words: str
):
    assert namespace_step(there, others)[0] is what
    assert words in namespace_step(there, others)[1]


def test_a_cluster_of_one_machine_needs_not_be_told_which():
    one = {"metadata": {"name": "a", "labels": {"kubernetes.io/hostname": "a.example.org"}}}
    two = {"metadata": {"name": "b"}}
    assert only_machine([one]) == "a.example.org"
    assert only_machine([two]) == "b"
    assert only_machine([one, two]) is None
    assert only_machine([]) is None
