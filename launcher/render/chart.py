"""The node's configuration as the chart makes it of values files: `helm template` is asked, so it is the very same."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launcher.admin.valuesfile import read_values
from launcher.config import ConfigError, NodeConfig
from launcher.render import Unusable

CHART = Path(__file__).parents[2] / "charts" / "v6-node"
DEFAULTS = "the chart's default"


@dataclass(frozen=True, slots=True)
class Values:
    """What an administrator gave, and what the chart made of it."""

    config: NodeConfig
    templates: Mapping[str, str]
    """The administrator's templates: text by file name."""
    files: Mapping[str, Any]
    """The values files, by their names, those that go before others last; empty where there is only a configuration."""

    def origin(self, path: Sequence[str]) -> str:
        """The last file that says something of a value; nothing if there are no files."""
        names = [name for name, tree in self.files.items() if _has(tree, path)]
        return names[-1] if names else DEFAULTS if self.files else ""


def _has(tree: Any, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def from_values(files: Sequence[Path], chart: Path, helm: str, namespace: str, scratch: Path) -> Values:
    """Have helm render the chart.

    Args:
        files: values files; later ones go before earlier ones.
        chart: the chart's folder.
        helm: name or path of helm.
        namespace: that of the node.
        scratch: a folder for the configuration file.

    Raises:
        Failure: a file is of no use, or helm would drop some of it in silence.
        Unusable: helm is missing or refuses the values.
        ConfigError: the launcher would refuse them.
    """
    program = shutil.which(helm)
    if program is None:
        raise Unusable(f"{helm} is not there, and it renders the chart; install helm 3.17 or newer, or give --helm.")
    if not (chart / "Chart.yaml").is_file():
        raise Unusable(f"{chart} is no chart; give --chart the folder charts/v6-node of this release.")
    values = {each.name: read_values(each) for each in files}
    given = [part for file in files for part in ("-f", str(file))]
    command = [program, "template", "v6-node", str(chart), "--namespace", namespace, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # what the caller named
    if done.returncode:
        raise Unusable(_complaint(done.stderr))
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout) if one}
    file = scratch / "node.yaml"
    file.write_text(objects["ConfigMap", "v6-node-config"]["data"]["node.yaml"])
    templates = objects.get(("ConfigMap", "v6-node-job-templates"), {"data": {}})["data"]
    return Values(NodeConfig.load(file), templates, values)


def from_config(config: Path, templates: Path | None) -> Values:
    """Read what a running launcher reads: its configuration file and its folder of templates.

    Raises:
        Unusable: the folder can't be read.
        ConfigError: the file is missing or has a fault.
    """
    try:
        texts = {file.name: file.read_text() for file in sorted(templates.glob("*.j2"))} if templates else {}
    except OSError as error:
        raise Unusable(f"{error.filename} can't be read ({error.strerror}); give another --templates.") from error
    return Values(NodeConfig.load(config), texts, {})


def _complaint(stderr: str) -> str:
    """What helm complains of, without its own words around it."""
    lines = [line for line in stderr.strip().splitlines() if line and not line.startswith(("Use --debug", "WARNING"))]
    if lines and "execution error at" in lines[0] and len(lines) > 1:
        lines = lines[1:]
    return "\n".join(lines)


__all__ = ["CHART", "DEFAULTS", "ConfigError", "Values", "from_config", "from_values"]
