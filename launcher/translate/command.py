"""The command `translate`: reads the file, writes values and Secrets, and reports."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from launcher.translate.document import secrets_text, values_text
from launcher.translate.findings import Done, Finding, Site
from launcher.translate.node import Translation, translate
from launcher.translate.source import Unreadable, named_files, read

USABLE, TO_FILL_IN, UNREADABLE = 0, 1, 2
"""Exit codes."""
_HEAD = """\
A vantage6 node, translated from {source}. {todo}

  kubectl create namespace {namespace}
  kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=restricted
{apply}  helm install v6-node charts/v6-node -n {namespace} -f {output}

Every other setting, with its default: charts/v6-node/values.yaml."""
_SECRETS_HEAD = """\
Secrets of a vantage6 node, translated from {source}; keep this file as safe as they are, or delete it once applied.
What algorithms get of a database is in base32, with ! for =, as they read it.

  kubectl apply -f {secrets}"""


def run(file: Path, output: Path | None, secrets: Path | None, site: Site) -> int:
    """Translate `file`; the answer is the exit code.

    Args:
        file: the vantage6 configuration.
        output: where the values go; None: standard output.
        secrets: where the Secret manifests go; None: secrets stay in the values.
        site: what is known of the cluster; its `files` are read here.
    """
    try:
        source, part = read(file)
        if site.secrets:
            site = replace(site, files=named_files(source, file.parent))
        made = translate(source, site)
        _write(made, file, output, secrets, site)
    except Unreadable as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    return _report(made, file, part, site)


def _write(made: Translation, file: Path, output: Path | None, secrets: Path | None, site: Site) -> None:
    todo = [finding for finding in made.findings if finding.done is Done.FILL_IN]
    apply = secrets if made.secrets else None
    head = _HEAD.format(
        source=file.name,
        todo='Correct the lines below "Fill in", then install it with' if todo else "Install it with",
        namespace=site.namespace,
        apply=f"  kubectl apply -f {apply}\n" if apply else "",
        output=output or "values.yaml",
    )
    text = values_text(made.values, made.findings, head)
    written: list[Path] = []
    try:
        if apply:
            _create(apply, secrets_text(made.secrets, _SECRETS_HEAD.format(source=file.name, secrets=apply)), written)
        if output:
            _create(output, text, written)
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        place = error.filename or "standard output"
        raise Unreadable(f"{place} can't be written ({error.strerror}), so nothing was; give another place.") from error


def _create(path: Path, text: str, written: list[Path]) -> None:
    """Write a new file, never one that is there, which nobody else may read: there may be secrets in it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        written.append(path)
        file.write(text)


def _report(made: Translation, file: Path, part: str, site: Site) -> int:
    if part:
        _say(f"{file.name}: the form of vantage6 3; what is below {part} is taken.")
    for finding in made.findings:
        _say(f"{file.name}: {finding.line()}")
    if made.inline:
        keys = ", ".join(made.inline)
        remedy = "keep the file as safe as they are" + ("" if site.secrets else ", or translate with --secrets")
        _say(f"{file.name}: the values have what may be secret in them ({keys}); {remedy}.")
    todo = [finding for finding in made.findings if finding.done is Done.FILL_IN]
    if todo:
        remedy = f"or correct {file.name} and translate it again"
        _say(f"To be filled in before the values are of use: {_keys(todo)}; {remedy}.")
    return TO_FILL_IN if todo else USABLE


def _keys(findings: list[Finding]) -> str:
    return ", ".join(dict.fromkeys(key for finding in findings for key in finding.keys))


def _say(line: str) -> None:
    print(line, file=sys.stderr)
