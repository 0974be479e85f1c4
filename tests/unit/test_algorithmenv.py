import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.algorithmenv import UnknownDatabase, encode, environment, secret_environment
from launcher.config import NodeConfig
from launcher.jobcontext import SecretKey
from launcher.runs import RequestedDatabase
from tests.unit.test_taskfiles import RUN

TREE = {
    "node": {
        "server_url": "https://server",
        "databases": [
            {"label": "patients", "type": "csv", "uri": "/data/p.csv"},
            {"label": "scans", "type": "folder", "uri": "/data/scans"},
            {"label": "Registry", "type": "sql"},
        ],
        "algorithm_env": {"THREADS": "2"},
    },
    "kubernetes": {
        "namespace": "hospital",
        "release": "node",
        "chart": "v6-node-0.1.0",
        "image": "v6-node:1",
        "proxy": {"service": "v6-node-proxy", "port": 80},
        "algorithmServiceAccount": "v6-node-algorithm",
        "taskVolume": {"claim": "v6-node-tasks"},
        "isolation": {"image": {"ref": "diagnostics:1"}},
        "databases": [
            {"label": "patients", "claim": "p", "secret": {"name": "s", "variables": {"PATIENTS_DB_PARAM_USER": "u"}}},
            {"label": "scans", "claim": "s"},
            {
                "label": "Registry",
                "secret": {"name": "r", "variables": {"REGISTRY_DATABASE_URI": "uri"}},
                "reach": [{"host": "registry.example", "port": 5432}, {"host": "203.0.113.9", "port": 5432}],
            },
        ],
    },
}
CONFIG = NodeConfig.model_validate(TREE)


def with_keys(section, **keys):
    return NodeConfig.model_validate({**TREE, section: {**TREE[section], **keys}})


def decoded(run, config=CONFIG):
    return {
        name: base64.b32decode(value.replace("!", "=")).decode() for name, value in environment(config, run).items()
    }


@pytest.mark.contract("§9 environment")
def test_encoding_as_the_documentation_shows_it():
    assert encode("abc") == "MFRGG!!!"


@given(st.text())
def test_encoding_can_be_undone(text):
    assert base64.b32decode(encode(text).replace("!", "=")).decode() == text


def test_paths_and_proxy():
    variables = decoded(RUN)
    assert variables["INPUT_FILE"] == "/mnt/data/task-000000007/input"
    assert (variables["HOST"], variables["PORT"]) == ("http://proxyserver", "80")
    assert variables["API_PATH"] == ""
    assert variables["TEMPORARY_FOLDER"] == "/mnt/tmp"


def test_only_the_databases_that_the_task_asked_for():
    variables = decoded(replace(RUN, databases=(RequestedDatabase("patients", {"sheet_name": "a"}),)))
    assert variables["PATIENTS_DATABASE_URI"] == "/mnt/patients.csv"
    assert variables["PATIENTS_DATABASE_TYPE"] == "csv"
    assert variables["PATIENTS_SHEET_NAME"] == "a"
    assert not [name for name in variables if name.startswith("SCANS")]
    assert variables["DB_LABELS"] == "patients,scans,Registry"


def test_a_service_is_described_by_its_secret_only():
    run = replace(RUN, databases=(RequestedDatabase("Registry", {"query": "SELECT 1"}),))
    variables = decoded(run)
    assert variables["REGISTRY_DATABASE_TYPE"] == "sql"
    assert variables["REGISTRY_QUERY"] == "SELECT 1"
    assert "REGISTRY_DATABASE_URI" not in variables
    assert secret_environment(CONFIG, run) == {"REGISTRY_DATABASE_URI": SecretKey("r", "uri")}


@pytest.mark.contract("§18 8 secrets of databases asked for only")
def test_the_secrets_of_other_databases_are_not_for_a_task():
    assert secret_environment(CONFIG, replace(RUN, databases=(RequestedDatabase("scans"),))) == {}
    patients = secret_environment(CONFIG, replace(RUN, databases=(RequestedDatabase("patients"),)))
    assert patients == {"PATIENTS_DB_PARAM_USER": SecretKey("s", "u")}


@pytest.mark.contract("§9 HTTP_PROXY")
@pytest.mark.contract("§9 NO_PROXY")
def test_the_egress_proxy_is_announced_where_there_is_one_and_databases_are_not_behind_it():
    assert not [name for name in decoded(RUN) if name.lower() in {"http_proxy", "https_proxy"}]
    config = with_keys("kubernetes", egress={"service": "v6-node-egress", "port": 3128})
    variables = decoded(replace(RUN, databases=(RequestedDatabase("Registry"),)), config)
    assert {variables[name] for name in ("HTTP_PROXY", "https_proxy")} == {"http://squid:3128"}
    assert variables["no_proxy"] == "localhost, proxyserver, registry.example, 203.0.113.9"


@pytest.mark.contract("§9 USER_REQUESTED_DATABASE_LABELS")
def test_labels_keep_the_researchers_order():
    run = replace(RUN, databases=(RequestedDatabase("scans"), RequestedDatabase("patients")))
    assert decoded(run)["USER_REQUESTED_DATABASE_LABELS"] == "scans,patients"


@pytest.mark.contract("§9 algorithm_env")
def test_the_administrators_variables_win():
    config = with_keys("node", algorithm_env={"TEMPORARY_FOLDER": "/elsewhere"})
    assert decoded(RUN, config)["TEMPORARY_FOLDER"] == "/elsewhere"


def test_an_unknown_label_is_refused_by_name():
    with pytest.raises(
        UnknownDatabase, match="'nothing', which this node does not have; it has: patients, scans, Registry"
    ):
        environment(CONFIG, replace(RUN, databases=(RequestedDatabase("nothing"),)))
