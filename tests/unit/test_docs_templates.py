"""The example on the page about job templates renders, keeps every rule, and does what the page says."""

import re
import textwrap
from pathlib import Path

import kubernetes_validate
import yaml

from launcher.invariants import violations
from launcher.templates import JobTemplates
from tests.unit.broken_rules import nothing_selects
from tests.unit.example_context import SHIPPED, context

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "templates.md").read_text()


def test_the_example_is_a_job_that_keeps_every_rule(tmp_path: Path) -> None:
    (example,) = re.findall(r"\n\n((?:    .*\n|\n)+?)\n(?! )", PAGE)
    templates = yaml.safe_load(textwrap.dedent(example))["jobs"]["templates"]
    for name, text in templates.items():
        (tmp_path / name).write_text(text)
    mine = JobTemplates(SHIPPED, tmp_path)
    mine.refuse_ignored(["job.yaml.j2"])
    manifest = mine.render("job.yaml.j2", context())
    assert violations(manifest, context(), nothing_selects) == []
    kubernetes_validate.validate(manifest, "1.36", strict=True)
    pod = manifest["spec"]["template"]["spec"]
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": "example.org/web", "operator": "DoesNotExist"}]}]
    assert {"name": "OMP_NUM_THREADS", "value": "2"} in pod["containers"][0]["env"]


def test_the_blocks_that_the_page_names_are_there() -> None:
    (named,) = re.findall(r"\*\*Blocks\*\* are (.*?) and those", PAGE, re.DOTALL)
    shipped = (SHIPPED / "job.yaml.j2").read_text()
    for block in re.findall(r"`(\w+)`", named):
        assert f"{{% block {block} %}}" in shipped
