"""The doctor asks for the rights to all that the chart renders, and for those that the launcher gets."""

from pathlib import Path
from typing import Any

from launcher.admin.keys import key_secret
from launcher.doctor.given import read_wishes
from launcher.doctor.rights import INSTALL, LAUNCH, wanted
from launcher.translate.credentials import KEY_SECRET
from tests.chart.rendering import CHART, MINIMAL, case, named, render

# How the API calls kinds; the test's pod is made by `helm test`, which is nobody's installation.
PLURALS = {"NetworkPolicy": "networkpolicies", "ValidatingAdmissionPolicy": "validatingadmissionpolicies"}


def kinds(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
    rendered = [each for each in objects if "helm.sh/hook" not in (each["metadata"].get("annotations") or {})]
    return {
        (each["apiVersion"].rpartition("/")[0], PLURALS.get(each["kind"], each["kind"].lower() + "s"))
        for each in rendered
    }


def test_everything_that_is_rendered_is_asked_for_and_nothing_else(case_file: Path):
    values = case(case_file)
    asked = wanted(read_wishes(CHART, [values]), namespace_there=True)
    written = {(right.group, right.resource) for right in asked if right.verb == "create" and right.why != LAUNCH}
    written -= {("", "pods/exec")}
    rendered = kinds(render(values))
    assert rendered - written == set()
    # What some values don't render may still be asked for, if every node has it with others.
    assert written - rendered <= {("", kind) for kind in ("secrets", "persistentvolumeclaims", "configmaps")}


def test_the_launchers_role_is_asked_for():
    role = named(render(MINIMAL), "Role", "v6-node-launcher")
    granted = {
        (group, kind, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }
    asked = wanted(read_wishes(CHART, [MINIMAL]), namespace_there=True)
    assert granted <= {(right.group, right.resource, right.verb) for right in asked if right.why in {LAUNCH, INSTALL}}


def test_the_launcher_reads_its_key_where_set_api_key_writes_it():
    statefulset = named(render(MINIMAL), "StatefulSet", "v6-node-launcher")
    assert key_secret(statefulset) == MINIMAL["existingSecret"] == KEY_SECRET
