"""Why a Job is as it is: which rule chose which profile, and which value came from where."""

from collections.abc import Iterator
from typing import Any

from launcher.config.jobs import Jobs
from launcher.profiles import Choice, Facts, judged, settings
from launcher.render.chart import Values

# A field of the profile, and how it comes about: from the profile alone or before `jobs`, or both together.
_OVER = ("tmpSizeLimit", "affinity", "topologySpreadConstraints", "priorityClassName", "activeDeadlineSeconds")
_ADDED = ("nodeSelector", "tolerations")


def explanation(values: Values, known: Facts, choice: Choice, forced: bool, templates: list[str]) -> list[str]:
    """Lines for a person.

    Args:
        values: the administrator's.
        known: of the run.
        choice: which profile it gets.
        forced: whether that was asked for, whatever the rules say.
        templates: the files that make the Job, the outermost first.
    """
    return [
        "The task: " + _task(known),
        *_rules(values.config.kubernetes.jobs, known, choice, forced),
        "The templates: " + ", which extends ".join(templates),
        "The values:",
        *_aligned(list(_values(values, choice.profile))),
    ]


def _task(known: Facts) -> str:
    return ", ".join(
        [
            f"image {known.image}",
            known.digest or "no digest (the registry was not asked)",
            f"organization {known.organization}",
            f"user {known.user}",
            f"name {known.task!r}",
            f"databases {', '.join(known.databases) or 'none'}",
            f"devices {', '.join(known.devices) or 'none'}",
        ]
    )


def _rules(jobs: Jobs, known: Facts, choice: Choice, forced: bool) -> Iterator[str]:
    for index, rule in enumerate(jobs.profileRules):
        path = f"jobs.profileRules[{index}], profile {rule.profile}"
        if choice.rule is not None and index > choice.rule:
            yield f"{path}: not looked at"
            continue
        verdicts = judged(rule, known)
        conditions = ", ".join(f"{key} {'holds' if held else 'does not hold'}" for key, held in verdicts.items())
        yield f"{path}: {conditions}{', so it decides' if index == choice.rule and not forced else ''}"
    name = choice.profile or "none, so what jobs says"
    if forced:
        yield f"The profile: {name}, as --profile says"
    elif choice.rule is not None:
        yield f"The profile: {name}, by jobs.profileRules[{choice.rule}]"
    else:
        yield f"The profile: {name}, by jobs.defaultProfile, as no rule holds"


def _values(values: Values, profile: str) -> Iterator[tuple[str, str, str]]:
    """Each setting of the Job: its name, its value, and the path of the value that says so."""
    jobs = values.config.kubernetes.jobs
    mine = settings(jobs, profile)
    own = ("jobs", "profiles", profile)
    if mine.gpu and mine.gpu.resource:
        yield _row(values, mine.gpu.resource, mine.gpu.count, (*own, "gpu"))
    if mine.gpu and mine.gpu.resourceClaimTemplateName:
        yield _row(values, "resourceClaimTemplateName", mine.gpu.resourceClaimTemplateName, (*own, "gpu"))
    if mine.runtimeClassName:
        yield _row(values, "runtimeClassName", mine.runtimeClassName, (*own, "runtimeClassName"))
    for section in dict.fromkeys([*jobs.resources, *mine.resources]):
        usual, before = jobs.resources.get(section, {}), mine.resources.get(section, {})
        for name in dict.fromkeys([*usual, *before]):
            path = (*own, "resources") if name in before else ("jobs", "resources")
            yield _row(values, f"{section}.{name}", {**usual, **before}[name], (*path, section, name))
    for key in _OVER:
        given = getattr(mine, key)
        if given is not None or getattr(jobs, key) not in ({}, ()):
            path = ("jobs", key) if given is None else (*own, key)
            yield _row(values, key, getattr(jobs, key) if given is None else given, path)
    for key in _ADDED:
        for said, path in ((getattr(jobs, key), ("jobs", key)), (getattr(mine, key), (*own, key))):
            if said:
                yield _row(values, key, said, path)
    for name, text in mine.env.items():
        yield _row(values, f"variable {name}", text, (*own, "env", name))


def _row(values: Values, name: str, value: Any, path: tuple[str, ...]) -> tuple[str, str, str]:
    origin = values.origin(path)
    return name, _shown(value), ".".join(path) + (f" ({origin})" if origin else "")


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    return '""' if value == "" else str(value)


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return [f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {path}" for name, value, path in rows]
