import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.algorithmenv import UnknownDatabase, encode, environment
from launcher.config import NodeSection
from launcher.runs import RequestedDatabase
from tests.unit.test_taskfiles import RUN

NODE = NodeSection.model_validate(
    {
        "server_url": "https://server",
        "databases": [
            {"label": "patients", "type": "csv", "uri": "/data/p.csv", "env": {"user": "reader"}},
            {"label": "scans", "type": "folder", "uri": "/data/scans"},
        ],
        "algorithm_env": {"THREADS": "2"},
    }
)


def decoded(run, node=NODE):
    return {
        name: base64.b32decode(value.replace("!", "=")).decode() for name, value in environment(node, run, 80).items()
    }


def test_encoding_as_the_documentation_shows_it():
    assert encode("abc") == "MFRGG!!!"


@given(st.text())
def test_encoding_can_be_undone(text):
    assert base64.b32decode(encode(text).replace("!", "=")).decode() == text


def test_paths_and_proxy():
    variables = decoded(RUN)
    assert variables["INPUT_FILE"] == "/mnt/data/task-000000007/input"
    assert variables["HOST"], variables["PORT"] == ("http://proxyserver", "80")
    assert variables["API_PATH"] == ""
    assert variables["TEMPORARY_FOLDER"] == "/mnt/tmp"


def test_only_the_databases_that_the_task_asked_for():
    variables = decoded(replace(RUN, databases=(RequestedDatabase("patients", {"sheet_name": "a"}),)))
    assert variables["PATIENTS_DATABASE_URI"] == "/mnt/patients.csv"
    assert variables["PATIENTS_DATABASE_TYPE"] == "csv"
    assert variables["PATIENTS_DB_PARAM_USER"] == "reader"
    assert variables["PATIENTS_SHEET_NAME"] == "a"
    assert not [name for name in variables if name.startswith("SCANS")]
    assert variables["DB_LABELS"] == "patients,scans"


def test_labels_keep_the_researchers_order():
    run = replace(RUN, databases=(RequestedDatabase("scans"), RequestedDatabase("patients")))
    assert decoded(run)["USER_REQUESTED_DATABASE_LABELS"] == "scans,patients"


def test_the_administrators_variables_win():
    node = NODE.model_copy(update={"algorithm_env": {"TEMPORARY_FOLDER": "/elsewhere"}})
    assert decoded(RUN, node)["TEMPORARY_FOLDER"] == "/elsewhere"


def test_an_unknown_label_is_refused_by_name():
    with pytest.raises(UnknownDatabase, match="'nothing', which this node does not have; it has: patients, scans"):
        environment(NODE, replace(RUN, databases=(RequestedDatabase("nothing"),)), 80)
