"""What an examination is given: values on top of a chart's defaults, and where it may make pods."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launcher.admin import Failure
from launcher.doctor.wishes import Wishes, wishes
from launcher.kubeapi import Tree


def read_wishes(chart: Path, given: Sequence[Mapping[str, Any]]) -> Wishes:
    """What values ask for, on top of a chart's defaults.

    Raises:
        Failure: the chart is no folder with these files.
    """
    try:
        about, defaults = (yaml.safe_load((chart / name).read_text()) for name in ("Chart.yaml", "values.yaml"))
    except OSError as error:
        raise Failure(
            f"The chart at {chart} can't be read ({error.strerror}); unpack it, and give its folder."
        ) from error
    return wishes(defaults, given, str(about["appVersion"]))


def authority_in(thing: Tree | None, kind: str, entry: str) -> str:
    """The text of an authority in a ConfigMap or Secret; empty if it has none."""
    text = str(((thing or {}).get("data") or {}).get(entry, ""))
    if kind == "configmaps":
        return text
    return b64decode(text).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Place:
    """Where pods may be made for a trial."""

    own: bool = False
    """In a namespace of its own."""
    why_not: str = ""
    """Why nowhere."""


def place_for_trial(*, may_make: bool, namespace: Tree | None, strangers: Sequence[Tree], name: str) -> Place:
    """Where to try: in a namespace of its own or, where none may be made, in that of the node, if it is empty still.

    In one with policies the trial would show nothing, and its own would disturb the node's isolation check.

    Args:
        may_make: whether namespaces may be made and deleted.
        namespace: the node's; None: there is none.
        strangers: NetworkPolicies of that namespace.
        name: its name.
    """
    if may_make:
        return Place(own=True)
    if namespace is None:
        return Place(why_not=f"there is no namespace {name}, and you may make none")
    if strangers:
        return Place(why_not=f"namespace {name} has NetworkPolicies already, and you may make no other namespace")
    return Place()
