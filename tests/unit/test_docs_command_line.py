"""The page on the command line has every command and option that there is, and no others."""

import re
from pathlib import Path

import typer

from launcher.__main__ import app
from launcher.admin.nodestate import Found, state
from launcher.admin.progress import Seen

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
PODS = {"run", "check-isolation", "leave"}
ELSEWHERE = {"render", "translate"}


def commands() -> dict[str, set[str]]:
    """The long forms of the options, by command; of a switch, both."""
    group = typer.main.get_command(app)
    return {
        name: {
            text
            for option in command.params
            for text in (*option.opts, *option.secondary_opts)
            if text.startswith("--")
        }
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


def test_every_command_is_there():
    assert {name for name in commands() if name not in PODS and f"`v6-node {name}" not in PAGE} == set()
    named = set(re.findall(r"v6-node ([a-z][a-z-]+)", PAGE)) - {"is"}
    assert named <= commands().keys()


def test_the_keys_of_a_state_are_those_of_the_page():
    listed = PAGE.partition("The JSON has ")[2].partition(".\n")[0]
    assert re.findall(r"`(\w+)`", listed) == list(state("x", Found(Seen(None))))


def test_every_option_is_there_and_no_other():
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--help", "--install"}
    here = {option for name, options in commands().items() if name not in PODS | ELSEWHERE for option in options}
    assert here - documented == set()
    assert documented - here == set()
