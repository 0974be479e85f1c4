"""The configuration file, and the sentences about its mistakes."""

import copy

import pytest
import yaml

from launcher.config import ConfigError, NodeConfig, read_api_key

GOOD = {
    "node": {
        "server_url": "https://server.example",
        "port": 443,
        "databases": [{"label": "default", "type": "csv", "uri": "/data/patients.csv"}],
    },
    "kubernetes": {
        "namespace": "hospital",
        "release": "node",
        "chart": "v6-node-0.1.0",
        "image": "ghcr.io/vantage6/v6-node:0.1.0",
        "proxy": {"service": "v6-node-proxy", "port": 80},
        "algorithmServiceAccount": "v6-node-algorithm",
        "taskVolume": {"claim": "v6-node-tasks"},
        "databases": [{"label": "default", "claim": "v6-node-database-default"}],
        "isolation": {"image": {"ref": "ghcr.io/vantage6/v6-node-diagnostics:1"}},
    },
}


def load(tmp_path, tree):
    path = tmp_path / "node.yaml"
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return NodeConfig.load(path)


def changed(path, value, good=GOOD):
    tree = copy.deepcopy(good)
    place = tree
    *way, last = path.split(".")
    for key in way:
        place = place[int(key)] if key.isdigit() else place[key]
    place[int(last) if last.isdigit() else last] = value
    return tree


def with_sections(path, value):
    """As `changed`, where the section of the key may be missing."""
    tree = copy.deepcopy(GOOD)
    tree["node"] |= {"logging": {}, "encryption": {}}
    return changed(path, value, tree)


@pytest.mark.parametrize(
    ("server_url", "port", "api_path", "api_url"),
    [
        ("https://server.example", 443, "/api", "https://server.example:443/api"),
        ("https://server.example", None, "/api", "https://server.example/api"),
        ("http://10.1.2.3", 7601, "", "http://10.1.2.3:7601"),
        ("http://[fd00::1]", 80, "/a/b", "http://[fd00::1]:80/a/b"),
    ],
)
def test_the_address_of_the_server(tmp_path, server_url, port, api_path, api_url):
    tree = copy.deepcopy(GOOD)
    tree["node"] |= {"server_url": server_url, "port": port, "api_path": api_path}
    assert load(tmp_path, tree).node.api_url == api_url


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("node.server_ur", "x", "node.server_ur"),
        ("node.server_url", "https://server.example/", "node.server_url"),
        ("node.server_url", "server.example", "node.server_url"),
        ("node.server_url", "https://server.example:443", "node.server_url"),
        ("node.port", 70000, "node.port: 70000"),
        ("node.api_path", "api/", "node.api_path"),
        ("node.databases.0.type", "xml", "node.databases.0.type: 'xml'"),
        ("node.databases.0.label", "my label", "node.databases.0.label: 'my label'"),
        ("node.encryption", {"private_key": "x"}, "node.encryption.private_key"),
        ("node.logging", {"level": "LOUD"}, "node.logging.level: 'LOUD'"),
        ("kubernetes.jobs", {"maxResultBytes": 0}, "kubernetes.jobs.maxResultBytes: 0"),
        ("kubernetes.jobs", {"concurrency": 1}, "kubernetes.jobs.concurrency"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path, path, value, words):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, changed(path, value))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.contract("§9 names of variables")
@pytest.mark.parametrize("name", ["PKG_NAME", "a b", "1A", "", "A-B", "A=B", "É"])
def test_a_name_that_no_variable_of_an_algorithm_may_have_is_refused(tmp_path, name):
    """PKG_NAME is the image's: another value would make vantage6's tools run another program of it."""
    with pytest.raises(ConfigError) as error:
        load(tmp_path, changed("node.algorithm_env", {"GOOD": "x", name: "x"}))
    assert "node.algorithm_env: " in str(error.value)
    assert f"{name!r} is not a name an algorithm's variable may have; rename it" in str(error.value)


@pytest.mark.contract("§15 types")
@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("node.port", [None, 443], [0, "many", 70000]),
        ("node.logging.level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], ["NOTSET", "info", 10]),
        ("node.databases", [[], GOOD["node"]["databases"]], ["default", [{"label": "a"}]]),
        ("node.encryption.enabled", [True, False], ["maybe", None]),
        ("node.share_algorithm_logs", [True, False], ["maybe", None]),
        ("node.databases.0.mount_mode", ["copy", "ro"], ["rw", True]),
    ],
)
def test_what_vantage6_takes_is_taken_and_a_wrong_type_is_refused_by_its_key(tmp_path, key, good, bad):
    """vantage6 also documents the level NOTSET, and refuses it."""
    for value in good:
        load(tmp_path, with_sections(key, value))
    for value in bad:
        with pytest.raises(ConfigError, match=key.replace(".", "[.]")):
            load(tmp_path, with_sections(key, value))


@pytest.mark.contract("§11 labels")
def test_labels_that_differ_only_in_case_are_refused(tmp_path):
    tree = copy.deepcopy(GOOD)
    tree["node"]["databases"].append({"label": "DEFAULT", "type": "csv", "uri": "/x.csv"})
    with pytest.raises(ConfigError, match="'DEFAULT' is given twice"):
        load(tmp_path, tree)


@pytest.mark.contract("§11 labels")
@pytest.mark.parametrize("label", ["data", "tmp"])
def test_a_folder_may_not_hide_the_runs_own_files(tmp_path, label):
    with pytest.raises(ConfigError, match=f"a folder can't be labelled '{label}'"):
        load(tmp_path, changed("node.databases.0", {"label": label, "type": "folder", "uri": "/x"}))


@pytest.mark.parametrize(("text", "words"), [("a: [", "is not YAML"), ("[]", "the file")])
def test_a_file_that_is_no_configuration(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, text)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        NodeConfig.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("type_", "uri", "path"),
    [
        ("csv", "/a/patients.csv", "/mnt/default.csv"),
        ("csv", "/a/patients.txt", "/mnt/default.txt"),
        ("excel", "/a/patients", "/mnt/default.xlsx"),
        ("folder", "/a/scans.2024", "/mnt/default"),
    ],
)
def test_where_an_algorithm_finds_a_database(tmp_path, type_, uri, path):
    config = load(tmp_path, changed("node.databases.0", {"label": "default", "type": type_, "uri": uri}))
    assert config.node.databases[0].mount_path == path


def test_the_key_is_a_uuid_and_is_not_repeated_when_it_is_not(tmp_path):
    (tmp_path / "api_key").write_text("not-a-key\n")
    with pytest.raises(ConfigError, match="api_key is not a UUID") as error:
        read_api_key(tmp_path)
    assert "not-a-key" not in str(error.value)
    (tmp_path / "api_key").write_text("6a1c43a5-7b7d-4f5c-8c39-1a2b3c4d5e6f\n")
    assert read_api_key(tmp_path) == "6a1c43a5-7b7d-4f5c-8c39-1a2b3c4d5e6f"


def test_no_key(tmp_path):
    with pytest.raises(ConfigError, match="no readable api_key"):
        read_api_key(tmp_path)
