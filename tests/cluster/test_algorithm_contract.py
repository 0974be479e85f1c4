"""What vantage6 promises an algorithm, as a real one finds it: its files, its variables, and nothing of anybody else.

The variables are read from where the kernel keeps them, before the algorithm's tools decode anything.
"""

import base64
import json
from typing import Any

import pytest

from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task
from tests.stage.waiting import wait_until

NOWHERE = [{"host": "192.0.2.1", "port": 5432}]  # nobody is there: what is told of it counts
OMOP = {
    "dbms": "postgresql",
    "user": "omop-reader",
    "password": "omop-secret",
    "cdm_database": "cdm",
    "cdm_schema": "public",
    "results_schema": "results",
}
SERVICES = {
    "registry": {"type": "sql", "uri": "postgresql://reader:sql-secret@192.0.2.1/a", "env": {"region": "north"}},
    "cohort": {"type": "omop", "uri": "postgresql://192.0.2.1/cdm", "env": OMOP},
    "triples": {"type": "sparql", "uri": "http://192.0.2.1:5432/sparql"},
    "thing": {"type": "other", "uri": "thing://192.0.2.1/?a=b c&d=é"},
}


@pytest.fixture(scope="module")
def node(troupe: Troupe, stagehand: Stagehand) -> Node:
    path = stagehand.table("contract.csv", {"age": [1.0]})
    table = {"label": "Table_1", "type": "csv", "uri": path, "nodeName": stagehand.machine, "mount_mode": "copy"}
    services = [{"label": label, "reach": NOWHERE, **each} for label, each in SERVICES.items()]
    settings = {"algorithm_env": {"THREADS": "2", "TEMPORARY_FOLDER": "/tmp"}, "run_context_file": False}
    return troupe.node(troupe.collaboration(), databases=[table, *services], **settings).start()


def variables(researcher: Researcher, image: str, databases: list[str | dict[str, Any]]) -> dict[str, str]:
    """An algorithm's variables, as they were handed to its process."""
    text = researcher.send(image, "use", "/proc/self/environ", databases=databases).wait().result()
    return dict(each.split("=", 1) for each in text.split("\0") if each)


def decoded(raw: dict[str, str]) -> dict[str, str]:
    """Those that are in vantage6's encoding: base32, with `!` in the place of `=`."""
    found = {}
    for name, value in raw.items():
        try:
            found[name] = base64.b32decode(value.replace("!", "=")).decode()
        except ValueError:
            continue
    return found


@pytest.mark.contract("§9 environment")
@pytest.mark.contract("§9 USER_REQUESTED_DATABASE_LABELS")
@pytest.mark.contract("§9 databases asked for")
@pytest.mark.contract("§9 query, sheet_name and preprocessing")
@pytest.mark.contract("§9 algorithm_env")
@pytest.mark.contract("§9 NO_PROXY")
@pytest.mark.contract("§9 DB_PARAM")
@pytest.mark.contract("§18 8 secrets of databases asked for only")
def test_every_variable_has_vantage6s_name_and_encoding(researcher: Researcher, behave: str) -> None:
    steps = [{"function": "select_rows", "parameters": {"query": "age > 50"}}]
    table = {"label": "Table_1", "sheet_name": "first", "preprocessing": steps}
    raw = variables(researcher, behave, [{"label": "registry", "query": "SELECT age FROM ages"}, table])
    told = decoded(raw)
    data = told["INPUT_FILE"].removesuffix("/input")
    assert data.startswith("/mnt/data/task-") and len(data) == len("/mnt/data/task-000000001")
    expected = {
        "INPUT_FILE": f"{data}/input",
        "OUTPUT_FILE": f"{data}/output",
        "TOKEN_FILE": f"{data}/token",
        "TEMPORARY_FOLDER": "/tmp",  # by algorithm_env
        "THREADS": "2",
        "HOST": "http://proxyserver",
        "PORT": "80",
        "API_PATH": "",
        "NO_PROXY": "localhost, proxyserver, 192.0.2.1",
        "no_proxy": "localhost, proxyserver, 192.0.2.1",
        "USER_REQUESTED_DATABASE_LABELS": "registry,Table_1",
        "DB_LABELS": "Table_1,registry,cohort,triples,thing",
        "TABLE_1_DATABASE_URI": "/mnt/Table_1.csv",
        "TABLE_1_DATABASE_TYPE": "csv",
        "TABLE_1_SHEET_NAME": "first",
        "TABLE_1_PREPROCESSING": json.dumps(steps),
        "REGISTRY_DATABASE_URI": SERVICES["registry"]["uri"],
        "REGISTRY_DATABASE_TYPE": "sql",
        "REGISTRY_QUERY": "SELECT age FROM ages",
        "REGISTRY_DB_PARAM_REGION": "north",
    }
    assert {name: told.get(name) for name in expected} == expected
    assert {name: raw[name] for name in ("API_PATH", "PORT", "THREADS")} == {
        "API_PATH": "",
        "PORT": "HAYA!!!!",
        "THREADS": "GI!!!!!!",
    }
    assert not [name for name in raw if name.startswith(("COHORT_", "TRIPLES_", "THING_"))]
    assert not [value for value in [*raw.values(), *told.values()] if "omop-secret" in value]


@pytest.mark.contract("§11 omop")
@pytest.mark.contract("§11 sparql")
@pytest.mark.contract("§11 other")
def test_services_of_every_type_are_told_as_vantage6s_tools_look_for_them(researcher: Researcher, behave: str) -> None:
    query = "SELECT ?age WHERE { ?p :age ?age }"
    told = decoded(variables(researcher, behave, ["cohort", {"label": "triples", "query": query}, "thing"]))
    found = {name: value for name, value in told.items() if name.startswith(("COHORT_", "TRIPLES_", "THING_"))}
    types = {f"{label.upper()}_DATABASE_TYPE": SERVICES[label]["type"] for label in ("cohort", "triples", "thing")}
    addresses = {f"{label.upper()}_DATABASE_URI": SERVICES[label]["uri"] for label in ("cohort", "triples", "thing")}
    parameters = {f"COHORT_DB_PARAM_{name.upper()}": value for name, value in OMOP.items()}
    assert found == types | addresses | parameters | {"TRIPLES_QUERY": query}


@pytest.mark.contract("§9 files")
def test_input_token_and_output_are_where_the_variables_say(researcher: Researcher, behave: str) -> None:
    task = researcher.send(behave, "files", "/mnt/data").wait()
    folder = f"/mnt/data/task-{task.run()['id']:09}"
    found = {each["path"]: each for each in task.result()}
    assert {path for path, each in found.items() if each["type"] == "file"} == {
        f"{folder}/{name}" for name in ("input", "output", "token")
    }
    assert found[f"{folder}/output"]["bytes"] == 0, "it is there, and empty, before the algorithm writes it"

    # An algorithm that opens its own: the path is known from the number of the run, which is the next.
    run = task.run()["id"]
    asked = [f"/mnt/data/task-{run + 1:09}/input"]
    text = researcher.send(behave, "use", *asked).wait().result()
    assert json.loads(text) == {"method": "use", "args": asked, "kwargs": {}}
    token = researcher.send(behave, "use", f"/mnt/data/task-{run + 2:09}/token").wait().result()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["sub"]["client_type"] == "container"
    assert claims["sub"]["image"] == behave


@pytest.mark.contract("§6 runs side by side")
@pytest.mark.contract("§18 7 runs see their own files only")
def test_a_run_finds_neither_token_nor_input_of_another(researcher: Researcher, behave: str) -> None:
    other = researcher.send(behave, "sleep", 40).wait(60, until=lambda each: each.statuses() == ["active"])
    theirs = f"task-{other.run()['id']:09}"
    task = researcher.send(behave, "files", "/mnt/data").wait()
    assert not [each["path"] for each in task.result() if theirs in each["path"]]
    thief = researcher.send(behave, "use", f"/mnt/data/{theirs}/token").wait().run()
    assert (thief["status"], "FileNotFoundError" in thief["log"]) == ("crashed", True)
    assert other.statuses() == ["active"], "it was there all the time"


SUBTASK = """
import base64, json, os, sys, urllib.request
image, collaboration, organization, folder = sys.argv[1:]
content = {"method": "tick", "args": ["shared"], "kwargs": {}}
body = {"name": "tick", "image": image, "collaboration_id": int(collaboration), "organizations": [
    {"id": int(organization), "input": base64.b64encode(json.dumps(content).encode()).decode()}]}
token = open(f"/mnt/data/{folder}/token").read()
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
request = urllib.request.Request("http://proxyserver/task", json.dumps(body).encode(), headers)
print(json.load(urllib.request.urlopen(request))["id"])
"""


@pytest.fixture(scope="module")
def shared(troupe: Troupe) -> Node:
    """A node whose algorithms have vantage6's own temporary folder."""
    return troupe.node(troupe.collaboration(), run_context_file=True).start()


@pytest.mark.contract("§9 temporary folder")
@pytest.mark.contract("§9 entry point")
def test_a_subtask_finds_in_the_temporary_folder_what_its_parent_left_and_another_job_does_not(
    shared: Node, behave: str, kubectl: Kubectl
) -> None:
    researcher = shared.collaboration.researcher()
    parent = researcher.send(behave, "tick", "shared", 30).wait(60, until=lambda each: each.statuses() == ["active"])
    (pod,) = shared.pods("algorithm")
    (container,) = pod["spec"]["containers"]
    assert not container.get("command") and not container.get("args"), "the image's own entry point runs"
    told = [behave, shared.collaboration.id, shared.account.organization.id, f"task-{parent.run()['id']:09}"]
    words = ("exec", pod["metadata"]["name"], "--", "python", "-c", SUBTASK, *map(str, told))
    child = Task(researcher.client, int(kubectl(*words, namespace=shared.namespace)))
    assert child.wait().result() == {"executions": 2, "run": "shared"}
    assert parent.wait().result() == {"executions": 2, "run": "shared"}
    assert researcher.send(behave, "tick", "shared").wait().result() == {"executions": 1, "run": "shared"}


@pytest.mark.contract("§9 run_context_file")
def test_run_context_json_is_where_its_variable_says(shared: Node, behave: str) -> None:
    researcher = shared.collaboration.researcher()
    raw = variables(researcher, behave, [])
    assert raw["RUN_CONTEXT_FILE"].startswith("/mnt/data/task-"), "not encoded"
    number = int(raw["RUN_CONTEXT_FILE"].split("/")[3].removeprefix("task-")) + 1
    path = f"/mnt/data/task-{number:09}/run_context.json"
    found = json.loads(researcher.send(behave, "use", path).wait().result())
    assert (found["schema_version"], found["entrypoint"]) == ("0.1", {"name": "use"})
    assert found["arguments"] == {"positional": [path], "named": {}}
    assert found["x-vantage6"]["run_id"] == number


@pytest.mark.contract("§13 shutdown of the node")
def test_what_runs_while_the_node_is_stopped_goes_on_and_is_delivered_when_it_is_back(
    shared: Node, behave: str
) -> None:
    task = shared.collaboration.researcher().send(behave, "tick", "on", 30)
    task.wait(60, until=lambda each: each.statuses() == ["active"])
    shared.scale_launcher(0)
    shared.wait_offline()
    assert task.statuses() == ["active"], "it was not killed, and nobody said that it was"
    shared.scale_launcher(1)
    assert task.wait().result() == {"executions": 1, "run": "on"}


@pytest.mark.contract("§5 unknown error")
def test_a_run_whose_job_somebody_deletes_ends_as_unknown_error(shared: Node, behave: str, kubectl: Kubectl) -> None:
    researcher = shared.collaboration.researcher()
    task = researcher.send(behave, "tick", "once", 120).wait(60, until=lambda each: each.statuses() == ["active"])
    name = f"run-{task.run()['id']}"
    kubectl("delete", "job", name, "--wait=false", namespace=shared.namespace)
    run = task.wait(60).run()
    assert (run["status"], bool(run["finished_at"])) == ("unknown error", True)
    wait_until(lambda: not shared.jobs(), 30, lambda: f"left, or made again: {shared.jobs()}")


@pytest.mark.contract("§11 mount_mode copy")
def test_the_log_says_that_nothing_is_copied(node: Node) -> None:
    said = [event for event in node.launcher_events() if "mount_mode copy" in event["event"]]
    assert [(event["level"], event["databases"]) for event in said] == [("WARNING", ["Table_1"])]
