"""The command `doctor`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from launcher.admin.cluster import Where, connected
from launcher.admin.helm import chart as chart_at
from launcher.admin.terminal import DEFAULT, AsJson, Chart, Context, Kubeconfig, Namespace, carry_out, progress
from launcher.admin.valuesfile import read_values
from launcher.doctor.examination import Examination
from launcher.doctor.findings import Finding, Level, exit_code
from launcher.doctor.given import read_wishes

app = typer.Typer()

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@app.command()
def doctor(
    values: Annotated[
        list[Path] | None, typer.Option("--values", "-f", help="File with the chart's values; may be repeated.")
    ] = None,
    namespace: Namespace = DEFAULT,
    *,
    as_json: AsJson = False,
    chart: Chart = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Examine a cluster before a node is installed, and remove what was made for it; exit with 1 if something fails."""
    where = Where(namespace, context, kubeconfig)
    out, err = (Console(stderr=stderr, highlight=False, emoji=False) for stderr in (False, True))
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            out.print(line(finding), soft_wrap=True)

    async def work() -> int:
        wishes = read_wishes(chart_at(chart), [read_values(file) for file in values or ()])
        with err.status("looking at the cluster") as spinner:
            async with connected(where) as api:
                await Examination(api, where, wishes, tell, progress(spinner.update)).run()
        if as_json:
            print(json.dumps([finding.tree() for finding in findings], indent=2))
        return exit_code(findings)

    raise typer.Exit(carry_out(work()))


def line(finding: Finding) -> Text:
    """A finding as a line, with the remedy behind it."""
    text = Text(f"{finding.level.value:<5}", _STYLES[finding.level])
    text.append(f"{finding.check:<17}", "dim")
    text.append(finding.sentence, "")
    if finding.remedy:
        text.append(f" → {finding.remedy}.", "italic")
    return text
