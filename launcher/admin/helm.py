"""helm, and the chart that it installs."""

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from launcher.admin import Failure
from launcher.admin.cluster import Where

RELEASE = "v6-node"
_PACKAGED = Path(__file__).parents[1] / "chart"
_CHECKOUT = Path(__file__).parents[2] / "charts" / "v6-node"
_PENDING = {"pending-install", "pending-upgrade", "pending-rollback"}


def chart(given: Path | None = None) -> Path:
    """The chart's folder or archive: the one that is given, else the one that came with this program.

    Raises:
        Failure: there is none.
    """
    for path in (given,) if given else (_PACKAGED, _CHECKOUT):
        if (path / "Chart.yaml").is_file() or path.suffix == ".tgz":
            return path
    where = f"at {given}" if given else "with this program"
    raise Failure(f"There is no chart {where}; give the folder charts/v6-node with --chart.")


class Helm:
    """The helm program on the PATH, for the node of one namespace.

    Args:
        where: the namespace, and the cluster.

    Raises:
        Failure: there is no helm.
    """

    def __init__(self, where: Where) -> None:
        found = shutil.which("helm")
        if found is None:
            raise Failure("There is no program helm on the PATH; install helm 3.17 or later (https://helm.sh).")
        self._program = found
        self._options = ["--namespace", where.namespace, *where.options]

    async def install(self, chart: Path, values: Any, files: Iterable[Path]) -> None:
        """Install the chart, or bring the release to these values; the objects are there then, but may not run yet.

        Args:
            chart: its folder or archive.
            values: given through standard input, as there may be secrets in them.
            files: further values, which win.
        """
        further = [word for file in files for word in ("--values", str(file))]
        # As JSON, which helm's reader and Python's YAML can't take for different things.
        await self._run(
            "upgrade", "--install", RELEASE, str(chart), "--values", "-", *further, stdin=json.dumps(values)
        )

    async def keep_tasks(self, chart: Path) -> None:
        """Have the release let go of the task volume when it is uninstalled; everything else stays as it is."""
        await self._run("upgrade", RELEASE, str(chart), "--reuse-values", "--set", "taskVolume.keep=true")

    async def manifests(self) -> list[Any]:
        """What the release consists of."""
        return [each for each in yaml.safe_load_all(await self._run("get", "manifest", RELEASE)) if each]

    async def status(self) -> str | None:
        """The release's state, such as `deployed`; None if there is no release."""
        try:
            told = await self._run("status", RELEASE, "--output", "json")
        except Failure as failure:
            if "release: not found" in str(failure):
                return None
            raise
        return str(json.loads(told)["info"]["status"])

    async def interrupted(self) -> bool:
        """Whether an earlier helm was ended before it was done, after which helm refuses to go on."""
        return await self.status() in _PENDING

    async def uninstall(self) -> None:
        """Remove the release, and wait until its objects are gone."""
        await self._run("uninstall", RELEASE, "--wait", "--timeout", "300s")

    async def _run(self, *arguments: str, stdin: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            *self._options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HELM_DEBUG": "false"},
        )
        try:
            out, err = await process.communicate(stdin.encode())
        except asyncio.CancelledError:
            # helm notes that it was interrupted, so that the next one can go on.
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                await process.wait()
            raise
        if process.returncode:
            raise Failure(said(err.decode(errors="replace")))
        return out.decode()


def said(words: str) -> str:
    """What helm's complaint comes down to: the chart's own sentences, or helm's."""
    lines = [line.strip() for line in words.splitlines() if not line.startswith(("WARNING", "level=", "Use --debug"))]
    text = " ".join(line for line in lines if line)
    # What the chart refuses in its own words comes after the place in the templates.
    chart_says = re.search(r"execution error at \(\S+\): (.*)$", text)
    if chart_says:
        return f"The chart refuses the values: {chart_says[1].rstrip('.')}."
    text = re.sub(r"^(Error: )?(UPGRADE|INSTALLATION) FAILED: |^Error: ", "", text)
    return f"helm can't do it: {text.rstrip('.') or 'it gave no reason'}."
