"""The page on the configuration file has every key of vantage6's; chart's schema and translation agree with it."""

import json
import re
from pathlib import Path

import pytest

from launcher.policies import Policies
from launcher.translate import keys

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
SCHEMA = json.loads((ROOT / "charts" / "v6-node" / "values.schema.json").read_text())
NODE = SCHEMA["properties"]["node"]["properties"]

# What vantage6-node 4.15 reads (its documentation, and its code).
VANTAGE6 = """
api_key server_url port api_path task_dir databases encryption policies docker_registries algorithm_env
algorithm_device_requests share_config share_algorithm_logs run_context_file node_extra_env node_extra_mounts
node_extra_hosts images alpine vpn_subnet ssh-tunnels whitelist docker_services logging debug prometheus
directories
"""


def rows():
    found = re.findall(r"^\| (`.*?) \| (.*?) \|(.*)\|$", PAGE, re.MULTILINE)
    return {key: (home, why) for keys, home, why in found for key in re.findall(r"`([^`]+)`", keys)}


@pytest.mark.contract("§15 keys")
def test_every_key_has_a_home_or_a_refusal():
    assert sorted(rows()) == sorted(VANTAGE6.split())


@pytest.mark.contract("§15 keys")
def test_the_schema_takes_and_refuses_what_the_page_says():
    assert {key for key, (home, _) in rows().items() if home != "refused"} == set(NODE)
    for key, (home, why) in rows().items():
        assert (f"`node.{key}`" in home) or (home == "refused" and why.strip()), key


@pytest.mark.contract("§15 keys")
def test_the_keys_of_policies_and_logging_agree():
    assert set(NODE["policies"]["properties"]) == set(Policies.model_fields)
    assert set(NODE["logging"]["properties"]) == {"level"}


@pytest.mark.contract("§15 keys")
def test_the_keys_of_a_database_are_taken():
    for key in keys.DATABASE:
        assert key in SCHEMA["definitions"]["database"]["properties"]
        assert key in rows()["databases"][1], "the page's remark"


def words(text):
    return " ".join(text.split())


@pytest.mark.contract("§15 keys")
def test_translate_says_what_the_page_says():
    refused = {key: why.strip() for key, (home, why) in rows().items() if home == "refused"}
    assert refused == keys.REFUSED
    assert {key for key, (home, _) in rows().items() if home != "refused"} == set(keys.TAKEN)


@pytest.mark.contract("§15 keys")
def test_translate_and_page_agree_on_logging_and_files():
    found = re.search(r"Of `logging`, the keys (.*?) are refused: (.*?)\. An ignored", words(PAGE))
    assert re.findall(r"`(\w+)`", found[1]) == list(keys.LOGGING_REFUSED)
    assert found[2] == keys.LOGGING_REASON
    assert keys.NOT_A_FILE in rows()["databases"][1]


def test_translate_knows_the_keys_of_the_schema():
    assert set(keys.TAKEN) == set(NODE)
    assert set(keys.WHITELIST) < set(NODE["whitelist"]["properties"])
    assert set(keys.REGISTRY) < set(SCHEMA["definitions"]["registryLogin"]["properties"])
