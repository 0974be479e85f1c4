"""A small language for what a manifest may hold: rules over parsed YAML, each yielding what it finds wrong.

A rule is a function of a path and the value there. `fields` is the heart: what it does not name is refused, so that a
field that Kubernetes will have next year is refused too.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

from launcher.rules import SHAPE


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that a manifest must not have, or lacks."""

    path: str
    """Where, as in `spec.template.spec.hostNetwork`."""
    sentence: str
    """What is wrong, why, and what to do."""
    rule: str = ""
    """Name of the rule that is broken, of `launcher.rules`; empty until the rule around it says."""


Rule = Callable[[str, object], Iterator[Violation]]


@dataclass(frozen=True, slots=True)
class Named:
    """A rule under its name. What a rule inside it found keeps the name that it has."""

    name: str
    rule: Rule

    def __call__(self, path: str, value: object) -> Iterator[Violation]:
        """What is wrong with the value."""
        for violation in self.rule(path, value):
            yield violation if violation.rule else replace(violation, rule=self.name)


def _name_of(rule: object) -> str:
    return rule.name if isinstance(rule, Named) else ""


def same(one: object, other: object) -> bool:
    """Equality of YAML values, in which 0 is not false and 1 is not true."""
    return (
        one == other if isinstance(one, str) else json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def shown(value: object) -> str:
    """A value in a sentence; lists and mappings are not spelt out, they may hold what is nobody's business."""
    if isinstance(value, dict | list):
        return ""
    written = json.dumps(value, ensure_ascii=True)
    return f": {written if len(written) <= 80 else written[:77] + '…'}"


def refused(path: str, value: object, why: str, remedy: str, rule: str = "") -> Violation:
    """The violation of having `value` at `path`."""
    return Violation(path, f"{path}{shown(value)} is not allowed ({why}); {remedy}.", rule)


def exactly(expected: object, why: str, remedy: str | None = None) -> Rule:
    """The value is `expected` and nothing else."""

    def rule(path: str, value: object) -> Iterator[Violation]:
        if not same(value, expected):
            yield refused(path, value, why, remedy or f"set it to {json.dumps(expected)}")

    return rule


def one_of(options: tuple[str, ...], why: str, otherwise: str = "remove it from the template") -> Rule:
    """The value is one of these texts; `otherwise` is the remedy if there are none."""
    advice = f"use {' or '.join(options)}" if options else otherwise

    def rule(path: str, value: object) -> Iterator[Violation]:
        if value not in options:
            yield refused(path, value, why, advice)

    return rule


def anything(path: str, value: object) -> Iterator[Violation]:
    """Whatever Kubernetes accepts."""
    yield from ()


def text(path: str, value: object) -> Iterator[Violation]:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        yield refused(path, value, "it must be text", "write it as text", SHAPE)


def truth(path: str, value: object) -> Iterator[Violation]:
    """True or false."""
    if not isinstance(value, bool):
        yield refused(path, value, "it must be true or false", "write it without quotes", SHAPE)


def at_least(minimum: int, why: str) -> Rule:
    """A whole number that is not below `minimum`."""

    def rule(path: str, value: object) -> Iterator[Violation]:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            yield refused(path, value, why, f"set it to a whole number, {minimum} or more")

    return rule


def quantity(most: str | float | None = None, bound: str = "", otherwise: str = "") -> Rule:
    """A quantity of Kubernetes that bounds something: above 0, which Kubernetes takes for no bound at all.

    Nor is it above `most`, where there is one; `bound` says where that is written, `otherwise` what to do there.
    """

    def rule(path: str, value: object) -> Iterator[Violation]:
        try:
            amount = _amount(value)
        except ValueError:
            yield refused(path, value, "it must be a quantity", "write it like 500m, 2 or 4Gi", SHAPE)
            return
        if amount <= 0:
            yield refused(path, value, "Kubernetes takes 0 for no bound at all", "set it above 0")
        if most is not None and amount > _amount(most):
            yield refused(path, value, f"{bound} allows {most}", f"lower it, or {otherwise}")

    return rule


def _amount(value: object) -> Decimal:
    amount = Decimal(parse_quantity(value))  # type: ignore[no-untyped-call]
    if isinstance(value, bool) or not amount.is_finite():
        raise ValueError
    return amount


def each(item: Rule) -> Rule:
    """A list whose items all keep `item`."""

    def rule(path: str, value: object) -> Iterator[Violation]:
        if not isinstance(value, list):
            yield refused(path, value, "it must be a list", "write it as a list", SHAPE)
            return
        for index, member in enumerate(value):
            yield from item(f"{path}[{index}]", member)

    return rule


def single(item: Rule, why: str) -> Rule:
    """A list of one, which keeps `item`."""

    def rule(path: str, value: object) -> Iterator[Violation]:
        if not isinstance(value, list) or len(value) != 1:
            yield refused(path, [], why, "leave exactly one")
        else:
            yield from item(f"{path}[0]", value[0])

    return rule


def fields(
    required: Mapping[str, Rule],
    optional: Mapping[str, Rule] | None = None,
    *,
    reasons: Mapping[str, str] | None = None,
    unknown: str = "it is not among the fields that a job may set",
    missing: str = "set it as the shipped template does",
    closed_by: str = "",
    held_by: Mapping[str, str] | None = None,
) -> Rule:
    """A mapping with these fields and no others; `reasons` says of well-known others why they are not allowed.

    `closed_by` names the rule that another field breaks; by default it is the rule around. `held_by` names another one
    for single fields, so that a waiver of `closed_by` does not let them through.
    """
    known = {**required, **(optional or {})}

    def rule(path: str, value: object) -> Iterator[Violation]:
        if not isinstance(value, dict):
            yield refused(path, value, "it must be a mapping", "write it as a mapping", SHAPE)
            return
        for name in required:
            if name not in value:
                sentence = f"{below(path, name)} is missing; {missing}."
                yield Violation(below(path, name), sentence, _name_of(known[name]))
        for name, content in value.items():
            if name in known:
                yield from known[name](below(path, name), content)
            else:
                why = (reasons or {}).get(name, unknown)
                broken = (held_by or {}).get(name, closed_by)
                yield refused(below(path, name), content, why, "remove it from the template", broken)

    return rule


def names(own: Mapping[str, str], given: Mapping[str, str], value: str, reserved: tuple[str, ...] = ()) -> Rule:
    """Labels or annotations: all of our `own`, perhaps those `given`, each as it is, and no others.

    `value` is the chart's value that gives them; what starts with a `reserved` prefix it can't give.
    """
    source = f"{value} in the chart's values"
    unlisted = refusing("it is not one of the run, of the node or of that value", f"add it to {source}")

    def rule(path: str, content: object) -> Iterator[Violation]:
        if not isinstance(content, dict):
            yield refused(path, content, "it must be a mapping", "write it as a mapping", SHAPE)
            return
        for key, expected in own.items():
            if key not in content:
                yield Violation(below(path, key), f"{below(path, key)} is missing; set it to {json.dumps(expected)}.")
        for key, found in content.items():
            if key in own:
                judge = exactly(own[key], "it is how the node recognises its jobs")
            elif str(key).startswith(reserved):
                judge = refusing("the node, its Services and policies go by it", f"remove it from template and {value}")
            else:
                judge = exactly(given[key], f"{source} says it") if key in given else unlisted
            yield from judge(below(path, key), found)

    return rule


def refusing(why: str, remedy: str) -> Rule:
    """Nothing may be there."""

    def rule(path: str, value: object) -> Iterator[Violation]:
        yield refused(path, value, why, remedy)

    return rule


def below(path: str, name: str) -> str:
    """The path of a mapping's field."""
    if not name.replace("_", "").isalnum():
        return f"{path}[{json.dumps(name)}]"
    return f"{path}.{name}" if path else name
