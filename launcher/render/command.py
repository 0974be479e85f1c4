"""The command itself: the manifest, or its difference to the shipped one, and beside it what is to be said of it."""

import asyncio
import difflib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launcher.admin import Failure
from launcher.algorithmenv import UnknownDatabase
from launcher.approval import Approved
from launcher.config import ConfigError
from launcher.invariants import InvariantError, violations
from launcher.jobcontext import Context
from launcher.manifests import Manifests
from launcher.networkpolicies import selecting
from launcher.node import SHIPPED_TEMPLATES
from launcher.policies import NO_RULE
from launcher.profiles import Choice, choose, facts
from launcher.render import Unusable, chart, dryrun
from launcher.render.explanation import explanation
from launcher.render.sample import Described, aliases, sample
from launcher.rendering import Rendering
from launcher.session import Identity
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates, TemplateError

SHOWN, REFUSED, UNUSABLE = 0, 1, 2
"""Exit codes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line said."""

    files: tuple[Path, ...]
    """Values files."""
    config: Path | None
    """Or the configuration that a launcher reads, with `templates`."""
    templates: Path | None
    chart: Path
    helm: str
    namespace: str
    task: Path | None
    described: Described
    profile: str | None
    diff: bool
    explain: bool
    check: bool


def run(wanted: Wanted) -> int:
    """Show the Job of a task; the answer is the exit code."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return _Preview(wanted, Path(scratch)).show()
    except (Failure, Unusable, ConfigError, UnknownDatabase) as error:
        _say(str(error))
        return UNUSABLE
    except TemplateError as error:
        _say(str(error))
        return REFUSED


class _Preview:
    def __init__(self, wanted: Wanted, scratch: Path) -> None:
        self._wanted = wanted
        self._values = _read(wanted, scratch)
        folder = scratch / "templates"
        folder.mkdir()
        for name, text in self._values.templates.items():
            (folder / name).write_text(text)
        self._templates = JobTemplates(SHIPPED_TEMPLATES, folder)

    def show(self) -> int:
        config, wanted = self._values.config, self._wanted
        run = sample(wanted.task, wanted.described)
        known = facts(config, run, run.image)
        choice = self._choice(choose(config.kubernetes.jobs, known))
        made = self._made_by(self._templates)
        context = made.approved_context(run, Approved(run.image, NO_RULE), aliases(config, run), choice.profile)
        if wanted.explain:
            chain = self._templates.chain(made.template(choice.profile))
            for line in explanation(self._values, known, choice, wanted.profile is not None, chain):
                _say(line)
        made.refuse_ignored()
        rendering = made.rendering(context)
        text = _yaml(rendering.manifest)
        sys.stdout.write(self._difference(text, context, choice.profile) if wanted.diff else text)
        sys.stdout.flush()
        return self._judge(rendering, context)

    def _choice(self, ruled: Choice) -> Choice:
        asked, profiles = self._wanted.profile, self._values.config.kubernetes.jobs.profiles
        if asked is None:
            return ruled
        if asked and asked not in profiles:
            raise Unusable(f'--profile "{asked}" is no profile; jobs.profiles has {", ".join(profiles) or "none"}.')
        return Choice(asked, None)

    def _made_by(self, templates: JobTemplates) -> Manifests:
        config = self._values.config
        identity = Identity(server=config.node.api_url, node_id=0, name="", organization_id=1, collaboration_id=1)
        return Manifests(
            config,
            templates,
            TaskFiles(Path("/tasks"), identity),
            identity,
            owner_uid="00000000-0000-0000-0000-000000000000",
            selecting=self._selecting,
        )

    def _selecting(self, labels: Any) -> set[str]:
        policies = self._values.config.kubernetes.policies
        return selecting(({"metadata": {"name": name}, "spec": spec} for name, spec in policies.items()), labels)

    def _difference(self, text: str, context: Context, profile: str) -> str:
        """From what the shipped templates make of the same task with the same values."""
        shipped = JobTemplates(SHIPPED_TEMPLATES, None)
        made = self._made_by(shipped)
        name = made.template(profile)
        name = name if shipped.has(name) else made.usual_template
        usual = _yaml(shipped.render(name, context))
        lines = difflib.unified_diff(usual.splitlines(), text.splitlines(), f"shipped/{name}", "this", lineterm="")
        found = "".join(f"{line}\n" for line in lines)
        if not found:
            _say(f"The shipped template {name} makes the same Job.")
        return found

    def _judge(self, rendering: Rendering, context: Context) -> int:
        broken = list(self._broken(rendering, context))
        for sentence in broken:
            _say(f"refused: {sentence}")
        if not self._wanted.check:
            return REFUSED if broken else SHOWN
        if not broken:
            waived = ", ".join(sorted(context.profile.waived))
            _say(
                f"rules: the Job keeps all but those that are waived ({waived})."
                if waived
                else "rules: the Job keeps all."
            )
        try:
            self._made_by(self._templates).rehearse()
        except (TemplateError, InvariantError) as error:
            broken.append(str(error))
            _say(f"refused: the launcher would not start: {error}")
        answers = asyncio.run(dryrun.ask(rendering.manifest))
        for _, sentence in answers:
            _say(f"server: {sentence}")
        return REFUSED if broken or dryrun.REFUSED in [verdict for verdict, _ in answers] else SHOWN

    def _broken(self, rendering: Rendering, context: Context) -> Iterator[str]:
        """What the launcher would refuse, each with the administrator's own line, where it comes from one."""
        rendered = rendering.rendered
        for violation in violations(rendering.manifest, context, self._selecting):
            origin = rendered.origin_of(violation.path)
            if origin is None:
                yield violation.sentence
            else:
                source = rendered.sources.line(origin.file, origin.line).strip()
                yield f"{rendered.place_of(violation.path)}: {violation.sentence} At: {source}"


def _read(wanted: Wanted, scratch: Path) -> chart.Values:
    if not SHIPPED_TEMPLATES.is_dir():
        sentence = "install it with `pip install -e .` in its repository, or run `python -m launcher render` there"
        raise Unusable(f"{SHIPPED_TEMPLATES} is not there, and the job templates should be; {sentence}.")
    if wanted.config is not None:
        return chart.from_config(wanted.config, wanted.templates)
    for file in wanted.files:
        if not file.is_file():
            raise Unusable(f"{file} is no file; give -f the values of the node.")
    return chart.from_values(wanted.files, wanted.chart, wanted.helm, wanted.namespace, scratch)


class _Plain(yaml.SafeDumper):
    """Block style, in the template's own order, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(manifest: dict[str, Any]) -> str:
    return yaml.dump(manifest, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
