"""`v6-node render`: the Job of a task from values files, through the chart itself, without cluster and server."""

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from ci.tools import bin_dir
from launcher.__main__ import app
from launcher.render import command
from tests.chart import rendering
from tests.chart.rendering import CASES, MINIMAL, merged, named

DATABASES = [
    {"label": "default", "type": "csv", "claim": "data", "uri": "a.csv"},
    {"label": "registry", "type": "sql", "uri": "db.example.org/a", "reach": [{"host": "db.example.org", "port": 1}]},
]
JOBS = {
    "resources": {"limits": {"memory": "3Gi"}},
    "profiles": {
        "gpu": {
            "template": "gpu.yaml.j2",
            "gpu": {"resource": "nvidia.com/gpu", "count": 2},
            "resources": {"limits": {"memory": "16Gi"}},
            "env": {"THREADS": "8"},
            "affinity": {"podAntiAffinity": {}},
        },
        "sandbox": {"runtimeClassName": "gvisor"},
    },
    "profileRules": [
        {"profile": "gpu", "images": ["^registry[.]example[.]org/train"], "users": [7]},
        {"profile": "sandbox", "databases": ["registry"]},
        {"profile": "gpu", "users": [8]},
    ],
}
VALUES = merged(MINIMAL, {"node": {"databases": DATABASES}, "jobs": JOBS})


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command with values, which are files of their own, the last one on top."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    def run(*arguments: str, values: list[dict[str, Any]] | None = None) -> Result:
        files = []
        for index, content in enumerate(values or [VALUES]):
            file = tmp_path / f"values-{index}.yaml"
            file.write_text(yaml.safe_dump(content))
            files += ["-f", str(file)]
        return CliRunner().invoke(app, ["render", "--helm", str(bin_dir() / "helm"), *files, *arguments])

    return run


def pod(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    spec: dict[str, Any] = yaml.safe_load(result.stdout)["spec"]["template"]["spec"]
    return spec


def test_the_job_of_a_described_task(render: Any) -> None:
    result = render("--image", "registry.example.org/train:2", "--user", "7", "--database", "default", "-n", "hospital")
    manifest = yaml.safe_load(result.stdout)
    assert result.stderr == ""
    assert manifest["metadata"]["namespace"] == "hospital"
    assert manifest["metadata"]["annotations"]["v6-node.vantage6.ai/profile"] == "gpu"
    algorithm = pod(result)["containers"][0]
    assert algorithm["image"] == "registry.example.org/train:2"
    assert algorithm["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": 2}
    assert {"name": "database-0", "mountPath": "/mnt/default.csv", "readOnly": True, "subPath": "a.csv"} in algorithm[
        "volumeMounts"
    ]


@pytest.mark.parametrize("task", [{"init_org": {"id": 3}, "init_user": {"id": 8}}, {"init_org": 3, "init_user": 8}])
def test_the_job_of_a_task_in_a_file(render: Any, tmp_path: Path, task: dict[str, Any]) -> None:
    file = tmp_path / "task.json"
    databases = [{"label": "default", "type": "csv"}]
    file.write_text(json.dumps({"id": 12, "job_id": 9, "name": "t", "image": "x/y:1", "databases": databases, **task}))
    manifest = yaml.safe_load(render("--task", str(file)).stdout)
    assert manifest["metadata"]["labels"]["v6-node.vantage6.ai/task-id"] == "12"
    told = json.loads(manifest["metadata"]["annotations"]["v6-node.vantage6.ai/audit"])
    assert (told["organization"], told["user"], told["databases"], told["profile"]) == (3, 8, ["default"], "gpu")
    assert pod(render("--task", str(file), "--user", "1"))["containers"][0]["image"] == "x/y:1"


def test_a_service_s_host_stands_in_hosts(render: Any) -> None:
    names = [alias["hostnames"] for alias in pod(render("--database", "registry"))["hostAliases"]]
    assert names == [["proxyserver"], ["db.example.org"]]


def test_a_profile_may_be_asked_for(render: Any) -> None:
    assert pod(render("--profile", "sandbox"))["runtimeClassName"] == "gvisor"
    assert "runtimeClassName" not in pod(render("--database", "registry", "--profile", ""))
    refused = render("--profile", "sandboxes")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == '--profile "sandboxes" is no profile; jobs.profiles has gpu, sandbox.\n'


def test_it_explains_which_rule_chose_and_which_value_came_from_where(render: Any) -> None:
    above = {"jobs": {"tmpSizeLimit": "9Gi"}}
    result = render("--image", "registry.example.org/train:2", "--user", "8", "--explain", values=[VALUES, above])
    assert pod(result)
    lines = [" ".join(line.split()) for line in result.stderr.splitlines()]
    assert lines[0].startswith("The task: image registry.example.org/train:2, no digest")
    assert lines[1:6] == [
        "jobs.profileRules[0], profile gpu: images holds, users does not hold",
        "jobs.profileRules[1], profile sandbox: databases does not hold",
        "jobs.profileRules[2], profile gpu: users holds, so it decides",
        "The profile: gpu, by jobs.profileRules[2]",
        "The templates: shipped/gpu.yaml.j2, which extends shipped/job.yaml.j2",
    ]
    assert "nvidia.com/gpu 2 jobs.profiles.gpu.gpu (values-0.yaml)" in lines
    assert "limits.memory 16Gi jobs.profiles.gpu.resources.limits.memory (values-0.yaml)" in lines
    assert "requests.cpu 100m jobs.resources.requests.cpu (the chart's default)" in lines
    assert "tmpSizeLimit 9Gi jobs.tmpSizeLimit (values-1.yaml)" in lines
    assert "affinity {podAntiAffinity: {}} jobs.profiles.gpu.affinity (values-0.yaml)" in lines
    assert not [line for line in lines if line.startswith("topologySpreadConstraints")], "nobody says anything of it"
    assert "variable THREADS 8 jobs.profiles.gpu.env.THREADS (values-0.yaml)" in lines


def test_it_explains_the_default_and_what_was_not_looked_at(render: Any) -> None:
    told = render("--explain", "--user", "1", values=[VALUES, {"jobs": {"defaultProfile": "sandbox"}}]).stderr
    assert "The profile: sandbox, by jobs.defaultProfile, as no rule holds" in told
    told = render("--explain", "--database", "registry").stderr
    assert "jobs.profileRules[2], profile gpu: not looked at" in told
    assert "The profile: gpu, as --profile says" in render("--explain", "--profile", "gpu").stderr


SIDEWAYS = """\
{% extends "shipped/job.yaml.j2" %}
{% block scheduling %}
{{ super() }}
      schedulerName: mine
{% endblock %}
"""


def test_the_difference_to_the_shipped_template(render: Any) -> None:
    mine = merged(VALUES, {"jobs": {"templates": {"job.yaml.j2": SIDEWAYS}}})
    result = render("--diff", values=[mine])
    changed = [line for line in result.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["+      schedulerName: mine"]
    whole = render(values=[mine]).stdout.splitlines()
    restored = difflib.restore(difflib.ndiff(render().stdout.splitlines(), whole), 1)
    assert list(restored) == render().stdout.splitlines()
    same = render("--diff")
    assert (same.exit_code, same.stdout) == (0, "")
    assert same.stderr == "The shipped template job.yaml.j2 makes the same Job.\n"


def test_a_template_of_a_profile_s_own_is_compared_with_the_usual_one(render: Any) -> None:
    own = {"templates": {"mine.yaml.j2": SIDEWAYS}, "profiles": {"mine": {"template": "mine.yaml.j2"}}}
    result = render("--diff", "--profile", "mine", values=[merged(VALUES, {"jobs": own})])
    assert result.stdout.startswith("--- shipped/job.yaml.j2\n+++ this\n")


def test_what_the_launcher_would_refuse_is_shown_and_refused(render: Any) -> None:
    broken = SIDEWAYS.replace("schedulerName: mine", "hostNetwork: true")
    result = render(values=[merged(VALUES, {"jobs": {"templates": {"job.yaml.j2": broken}}})])
    assert result.exit_code == 1
    assert "hostNetwork: true" in result.stdout
    assert result.stderr.startswith("refused: job.yaml.j2, line 4: spec.template.spec.hostNetwork: true is not allowed")
    assert result.stderr.endswith("At: hostNetwork: true\n")


def test_a_broken_template_is_told_with_file_line_and_source(render: Any) -> None:
    broken = SIDEWAYS.replace("      schedulerName", "     schedulerName")
    result = render(values=[merged(VALUES, {"jobs": {"templates": {"job.yaml.j2": broken}}})])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("job.yaml.j2, line 4: the template is not valid YAML")
    assert "this line has 5 spaces, what it stands in place of has 6, at: schedulerName: mine" in result.stderr


def test_the_check_tells_of_rules_start_and_server(render: Any) -> None:
    result = render("--check")
    assert result.exit_code == 0
    rules, server = result.stderr.splitlines()
    assert rules == "rules: the Job keeps all."
    assert server.startswith("server: the API server was not asked, as there is no kubeconfig")
    waived = render("--check", values=[merged(VALUES, {"jobs": {"waive": ["user", "fields"]}})])
    assert waived.stderr.startswith("rules: the Job keeps all but those that are waived (fields, user).\n")
    other = {"profiles": {"big": {"resources": {"limits": {"memory": "9Gi"}}}}, "caps": {"memory": "4Gi"}}
    values = merged(MINIMAL, {"jobs": other})
    assert render(values=[values]).exit_code == 0, "this task has another profile"
    result = render("--check", values=[values])
    assert result.exit_code == 1
    assert "refused: the launcher would not start: jobs.profiles.big: " in result.stderr


def test_what_the_chart_refuses_is_told_in_its_words(render: Any) -> None:
    result = render(values=[merged(VALUES, {"jobs": {"defaultProfile": "x"}})])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == 'jobs.defaultProfile "x" is no profile; jobs.profiles has gpu, sandbox.\n'


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--helm", "no-such-helm"], "no-such-helm is not there, and it renders the chart; install helm 3.17"),
        (["--chart", "/nowhere"], "/nowhere is no chart; give --chart"),
        (["-f", "/nowhere.yaml"], "/nowhere.yaml is no file; give -f"),
        (["--task", "/nowhere.json"], "/nowhere.json can't be read (No such file or directory); give another --task."),
        (["--database", "scans"], "The task asks for database 'scans', which this node does not have"),
        (["--config", "/nowhere"], "/nowhere can't be read (No such file or directory)"),
    ],
)
def test_what_can_t_be_used_is_told(render: Any, arguments: list[str], says: str) -> None:
    result = render(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(says)
    assert len(result.stderr.splitlines()) == 1


def test_a_program_without_its_templates_says_so(render: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SHIPPED_TEMPLATES", tmp_path / "none")
    result = render()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the job templates should be; install it with `pip install -e .` in its repository" in result.stderr


@pytest.mark.parametrize("text", ["[]", "{", "{}", '{"image": "x", "databases": [3.5, {}]}', '"x"'])
def test_a_file_that_is_no_task_is_told(render: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "task.json").write_text(text)
    result = render("--task", str(tmp_path / "task.json"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "task.json: it is no task in JSON, with `image`" in result.stderr


def test_a_running_launcher_s_configuration_will_do(render: Any, tmp_path: Path) -> None:
    """In the launcher's pod there is no helm, and no chart."""
    config = named(rendering.render(VALUES), "ConfigMap", "v6-node-config")["data"]["node.yaml"]
    (tmp_path / "node.yaml").write_text(config)
    (tmp_path / "job.yaml.j2").write_text(SIDEWAYS)
    arguments = ["--config", str(tmp_path / "node.yaml"), "--user", "8", "--explain"]
    result = CliRunner().invoke(app, ["render", *arguments], env={"V6_NODE_TEMPLATES": str(tmp_path)})
    assert pod(result)["schedulerName"] == "mine"
    assert (
        "The templates: shipped/gpu.yaml.j2, which extends job.yaml.j2, which extends shipped/job.yaml.j2"
        in result.stderr
    )
    assert result.stderr.endswith("jobs.profiles.gpu.env.THREADS\n"), "no file is named, as there is none"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_values_file_of_the_chart_renders(case: Path) -> None:
    result = CliRunner().invoke(app, ["render", "--helm", str(bin_dir() / "helm"), "-f", str(case)])
    assert pod(result)["containers"][0]["name"] == "algorithm"
