"""Writes docs/template-reference.md: every variable and block of job templates. `python -m ci.templatereference`.

The variables are the fields of the typed context (launcher/jobcontext.py), each with the text below it there; the
examples are what the launcher's own code makes of a task; the blocks are those of the shipped template.
"""

import ast
import dataclasses
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from launcher import jobcontext
from launcher.approval import Approved
from launcher.config import NodeConfig
from launcher.jobcontext import Context
from launcher.jobmarks import NOBODY
from launcher.manifests import Manifests
from launcher.node import SHIPPED_TEMPLATES
from launcher.render.sample import Described, aliases, sample
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates
from launcher.templatesources import Sources

PAGE = Path(__file__).parents[1] / "docs" / "template-reference.md"
LONGEST = 90
SITE = {
    "node": {
        "server_url": "https://vantage6.example.org",
        "databases": [
            {"label": "default", "type": "csv", "uri": "2026/patients.csv"},
            {"label": "registry", "type": "sql"},
        ],
    },
    "kubernetes": {
        "namespace": "hospital",
        "release": "v6-node",
        "chart": "v6-node-0.1.0",
        "image": "ghcr.io/vantage6/v6-node:0.1.0",
        "proxy": {"service": "v6-node-proxy", "port": 80},
        "algorithmServiceAccount": "v6-node-algorithm",
        "imagePullSecrets": ["registry-login"],
        "taskVolume": {"claim": "v6-node-tasks"},
        "databases": [
            {"label": "default", "claim": "registry-data", "subPath": "2026/patients.csv"},
            {
                "label": "registry",
                "secret": {"name": "v6-node-database-registry", "variables": {"REGISTRY_DATABASE_URI": "uri"}},
                "reach": [{"host": "registry.example.org", "port": 5432, "addresses": ["203.0.113.7"]}],
            },
        ],
        "isolation": {"image": {"ref": "ghcr.io/vantage6/v6-node-diagnostics:0.1.0"}},
        "jobs": {
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}},
            "securityContext": {"supplementalGroups": [1500]},
            "podLabels": {"example.org/team": "research"},
            "podAnnotations": {"example.org/contact": "data desk"},
            "priorityClassName": "low",
            "extraImages": ["docker.io/library/busybox:1.37"],
            "caps": {"memory": "64Gi", "activeDeadlineSeconds": 2592000},
            "waive": ["fields"],
            "profiles": {
                "gpu": {
                    "template": "gpu.yaml.j2",
                    "gpu": {"resource": "nvidia.com/gpu", "count": 1},
                    "runtimeClassName": "nvidia",
                    "nodeSelector": {"nvidia.com/gpu.present": "true"},
                    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
                }
            },
            "defaultProfile": "gpu",
        },
    },
}  # fmt: skip
HEAD = """\
# What job templates can use

[templates.md](templates.md) tells how templates are made. `python -m ci.templatereference` writes this page, from
[launcher/jobcontext.py](../launcher/jobcontext.py) and [templates/jobs/job.yaml.j2](../templates/jobs/job.yaml.j2).

The examples are of a run of the image `ghcr.io/example/average:1` that asks for two databases, at a site with a profile
`gpu`. They are shown as JSON, the longer ones not to their end.
"""
FILTERS = """\
## Filters

Jinja's own, but `e`, `escape`, `forceescape`, `safe`, `tojson`, `urlize`, `xmlattr` and `random`: a value arrives
unchanged and with its type. One more: `merge` makes one mapping of several, of which later ones hold:
`{{ profile.resources.limits | merge({"cpu": 2}) }}`. The tags `filter`, `call` and `autoescape` are refused.
"""
_NAMES = {int: "number", str: "text", bool: "true or false", float: "number", type(None): "none", Any: "any"}


def page() -> str:
    """The page's text."""
    return "\n".join([HEAD, *_blocks(), *_variables(), FILTERS])


def _example() -> Context:
    config = NodeConfig.model_validate(SITE)
    described = Described("ghcr.io/example/average:1", ("default", "registry"), name="average age")
    run = replace(sample(None, described), id=12, task_id=7, job_id=5)
    with tempfile.TemporaryDirectory() as folder:
        made = Manifests(
            config,
            JobTemplates(SHIPPED_TEMPLATES, None),
            TaskFiles(Path(folder), NOBODY),
            NOBODY,
            owner_uid="0b0d2f0e-7a43-4a35-9f0e-2f5a3f6f5b11",
            selecting=lambda _: set(),
        )
        return made.approved_context(run, Approved(run.image, "none"), aliases(config, run), "gpu")


def _blocks() -> Iterator[str]:
    yield "## Blocks of job.yaml.j2\n\n| block | spaces before its lines | what it is in |\n|---|---|---|"
    text = re.sub(r"\{#.*?#\}", "", (SHIPPED_TEMPLATES / "job.yaml.j2").read_text(), flags=re.DOTALL)
    sources = Sources(SHIPPED_TEMPLATES, None)
    for found in re.finditer(r"^( *)\{% block (\w+) %\}", text, re.MULTILINE):
        spaces = sources.indentation_of(found[2])
        inside = _around(text[: found.start()], len(found[1]))
        yield f"| `{found[2]}` | {len(found[1]) if spaces is None else spaces} | {inside} |"
    yield ""


def _around(before: str, indent: int) -> str:
    """The keys that a block's place is below."""
    way: list[str] = []
    for line in reversed(before.splitlines()):
        key = re.match(r" *(- )?(\w+):", line)
        depth = len(line) - len(line.lstrip())
        if key and depth < indent:
            way[:0] = [] if key[1] else [key[2]]  # a dash begins a member of the list, which its key names
            indent = depth
    return f"`{'.'.join(way)}`"


def _variables() -> Iterator[str]:
    example = _example()
    yield "## Variables\n"
    for field in dataclasses.fields(Context):
        hint = get_type_hints(Context)[field.name]
        told = _documentation(Context)[field.name]
        value = getattr(example, field.name)
        kind = _record(hint)
        if kind is None:
            yield f"### `{field.name}`\n\n{told} Type: {_type(hint)}. Example: {_shown(value)}\n"
            continue
        yield f"### `{field.name}`\n\n{told}\n\n| variable | type | what it is | example |\n|---|---|---|---|"
        yield from _rows(kind, field.name if kind is hint else f"{field.name}[…]", _first(value))
        yield ""


def _rows(kind: type, prefix: str, example: Any) -> Iterator[str]:
    hints = {**get_type_hints(kind), **_properties(kind)}
    for name, told in _documentation(kind).items():
        value = getattr(example, name)
        yield f"| `{prefix}.{name}` | {_type(hints[name])} | {told} | {_shown(value)} |"
        inner = _record(hints[name])
        if inner is not None:
            yield from _rows(inner, f"{prefix}.{name}" + ("" if _is_plain(hints[name]) else "[…]"), _first(value))


def _is_plain(hint: Any) -> bool:
    return get_origin(hint) is not tuple


def _properties(kind: type) -> dict[str, Any]:
    found = {name: member.fget for name, member in vars(kind).items() if isinstance(member, property)}
    return {name: get_type_hints(get)["return"] for name, get in found.items()}


def _record(hint: Any) -> type | None:
    """The dataclass that a type is, or has as its members."""
    if dataclasses.is_dataclass(hint):
        return hint if isinstance(hint, type) else None
    return next((found for part in get_args(hint) if (found := _record(part))), None)


def _first(value: Any) -> Any:
    if isinstance(value, tuple):
        return value[0]
    return next(iter(value.values())) if isinstance(value, dict) else value


def _type(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return "fields as below"
    if hint in _NAMES:
        return _NAMES[hint]
    if origin in (tuple, list, frozenset):
        return f"list of {_plural(_type(parts[0]))}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of text to {_type(parts[1])}"
    return " or ".join(dict.fromkeys(_type(part) for part in parts))


def _plural(name: str) -> str:
    return {"text": "texts", "number": "numbers"}.get(name, name)


def _shown(value: Any) -> str:
    text = json.dumps(_plain(value), ensure_ascii=False)
    return f"`{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}`"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _documentation(kind: type) -> dict[str, str]:
    """The text below each field of a class, and that of each property, by name."""
    tree = ast.parse(Path(jobcontext.__file__).read_text())
    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__]
    told = {}
    for node, after in zip(found.body, [*found.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), node.target.id
            told[node.target.id] = " ".join(str(after.value.value).split())
        elif isinstance(node, ast.FunctionDef):
            told[node.name] = " ".join((ast.get_docstring(node) or "").split())
    return told


if __name__ == "__main__":
    PAGE.write_text(page())
