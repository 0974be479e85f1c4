"""The chart rendered by both helms, without a cluster; a rendering is made once and shared by all tests."""

import functools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from ci.tools import bin_dir

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "v6-node"
CASES = [
    *sorted((CHART / "ci").glob("*-values.yaml")),
    ROOT / "values.example.yaml",
    ROOT / "tests" / "poc" / "values.yaml",
]
HELMS = ["helm3", "helm"]
NAMESPACE = "hospital"
MINIMAL = {"node": {"server_url": "https://vantage6.example.org"}, "existingSecret": "v6-node-key"}

# Helm would otherwise read the plugins and repositories of whoever runs the tests, and find a cluster.
CLEAN = {"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"}
# A rendering ends with 60 MB in use: a third of its time would go into looking for garbage.
UNCOLLECTED = {"GOGC": "off"}

Object = dict[str, Any]


def run_helm(
    name: str, *arguments: str, values: str | None = None, kubeconfig: str = os.devnull
) -> subprocess.CompletedProcess[str]:
    """Run `helm3` or `helm` (4); `values` are handed over on its standard input, for `-f -`."""
    environment = {key: value for key, value in os.environ.items() if key not in CLEAN}
    environment |= {"KUBECONFIG": kubeconfig, **UNCOLLECTED}
    command = [str(bin_dir() / name), *arguments]
    return subprocess.run(command, input=values, capture_output=True, text=True, env=environment, check=False)


def template(helm: str, values: Object) -> subprocess.CompletedProcess[str]:
    """Render the chart with `values`, whether that works or not."""
    return run_helm(helm, "template", "node", str(CHART), "-n", NAMESPACE, "-f", "-", values=json.dumps(values))


@functools.cache
def _rendered(helm: str, values: str) -> str:
    done = template(helm, json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def render_text(values: Object, helm: str = "helm") -> str:
    """Render the chart with `values`, which must work."""
    return _rendered(helm, json.dumps(values, sort_keys=True))


@functools.cache
def parsed(text: str) -> list[Object]:
    """A rendering's objects, which are shared: look at them, don't change them."""
    return [found for found in yaml.load_all(text, Loader=yaml.CSafeLoader) if found]


def render(values: Object, helm: str = "helm") -> list[Object]:
    """Render the chart with `values` into objects, which are shared: look at them, don't change them."""
    return parsed(render_text(values, helm))


@functools.cache
def case(path: Path) -> Object:
    """Read a values file, whose values are shared: look at them, don't change them."""
    return yaml.safe_load(path.read_text())


def named(objects: list[Object], kind: str, name: str) -> Object:
    """Pick the one object with this kind and name."""
    [found] = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: list[Object]) -> dict[str, Object]:
    """Pods and pod templates by the role on their labels."""
    templates = [one["spec"]["template"] for one in objects if one["kind"] in {"StatefulSet", "Deployment"}]
    alone = [one for one in objects if one["kind"] == "Pod"]
    return {one["metadata"]["labels"]["v6-node.vantage6.ai/role"]: one for one in [*templates, *alone]}


def merged(values: Object, change: Object) -> Object:
    """Values with a change laid over them, as helm does with several values files."""
    result = dict(values)
    for key, new in change.items():
        old = result.get(key)
        result[key] = merged(old, new) if isinstance(old, dict) and isinstance(new, dict) else new
    return result


def complaints(stderr: str) -> list[str]:
    """Each fault that helm reports, in the words of the chart or of its schema checker, keys' parts joined by dots.

    Of the schema, helm 3.17 writes `- node.port: …`, helm 3.18 and newer and helm 4 write `- at '/node/port': …`.
    """
    ours = re.search(r"execution error at \([^)]*\): \n(.*)", stderr, re.DOTALL)
    if ours:
        return [line for line in ours[1].splitlines() if line and not line.startswith("Use --debug")]
    found = re.findall(r"^- (.*)$", stderr, re.MULTILINE)
    return [re.sub(r"^at '/?([^']*)'", lambda path: path[1].replace("/", "."), line) for line in found]
