"""run_context.json, in the shape of vantage6's documentation."""

import json
from dataclasses import replace

import pytest

from launcher.algorithmenv import environment
from launcher.runcontext import NoRunContext, run_context
from launcher.runs import RequestedDatabase
from launcher.session import Identity
from tests.unit.test_algorithmenv import CONFIG, with_keys
from tests.unit.test_taskfiles import RUN

IDENTITY = Identity(server="https://server", node_id=17, name="n", organization_id=3, collaboration_id=2)
CONTENT = b'{"method": "partial", "args": [1], "kwargs": {"column": "age"}}'


@pytest.mark.contract("§9 run_context_file")
def test_it_tells_what_the_variables_tell():
    run = replace(RUN, databases=(RequestedDatabase("patients", {"arguments": {"bind": "x"}, "query": "no"}),))
    found = json.loads(run_context(CONFIG, IDENTITY, run, CONTENT))
    assert found["schema_version"] == "0.1"
    assert found["entrypoint"] == {"name": "partial"}
    assert found["arguments"] == {"positional": [1], "named": {"column": "age"}}
    assert found["executor"] == {"id": 17, "kind": "vantage6-node"}
    assert found["inputs"] == [
        {"id": "patients", "uri": "/mnt/patients.csv", "type": "csv", "arguments": {"bind": "x"}}
    ]
    data = f"/mnt/data/task-{run.id:09}"
    assert found["outputs"] == [{"id": "result", "uri": f"{data}/output"}]
    assert found["x-vantage6"]["token_file"] == f"{data}/token"
    assert found["x-vantage6"]["api_proxy"] == {"host": "http://proxyserver", "port": "80", "api_path": ""}


@pytest.mark.contract("§9 run_context_file")
def test_a_database_that_is_a_service_is_refused():
    run = replace(RUN, databases=(RequestedDatabase("Registry"),))
    with pytest.raises(NoRunContext, match="Registry is a service"):
        run_context(CONFIG, IDENTITY, run, CONTENT)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"1"])
def test_an_input_that_is_no_object_is_refused(content: bytes):
    with pytest.raises(NoRunContext, match="method, args and kwargs"):
        run_context(CONFIG, IDENTITY, RUN, content)


@pytest.mark.contract("§9 run_context_file")
def test_its_path_is_told_plainly_and_only_where_there_is_one():
    run = replace(RUN, databases=())
    assert "RUN_CONTEXT_FILE" not in environment(CONFIG, run)
    told = environment(with_keys("node", run_context_file=True), run)["RUN_CONTEXT_FILE"]
    assert told == f"/mnt/data/task-{run.id:09}/run_context.json"
