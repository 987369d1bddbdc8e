"""A command that a page shows is one that the program takes: no page tells of an option that is gone."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from vigil.cli.main import app

REPOSITORY = Path(__file__).resolve().parents[3]
PAGES = [*sorted((REPOSITORY / "docs").glob("*.md")), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
_FENCE = re.compile(r"^```(?:\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_PROMPT = re.compile(r"^(?:[#$] )?(?:sudo )?")
_ENDS = {"&&", "|", ">", ";", "#", "\\"}


def lines_of(text: str) -> Iterator[str]:
    """What a person could type: lines of code blocks, and code within sentences."""
    for block in _FENCE.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    yield from _INLINE.findall(_FENCE.sub("", text))


def commands_of(text: str, program: str) -> list[list[str]]:
    """The words after ``program``, for each command that begins with it. Optional parts are taken as given."""
    found = []
    for line in lines_of(text):
        plain = _PROMPT.sub("", line.strip()).replace("[", "").replace("]", "")
        for part in plain.split("&&"):
            try:
                words = shlex.split(part.strip(), comments=True)
            except ValueError:
                continue  # prose
            if words and words[0].removeprefix("./").removeprefix("/opt/vigil/current/").removeprefix("bin/") == program:
                end = next((index for index, word in enumerate(words) if word in _ENDS), len(words))
                found.append(words[1:end])
    return found


def understood(words: list[str]) -> str | None:
    """Follows ``words`` through the tree of commands. None, or what is not understood."""
    command = get_command(app)
    rest = list(words)
    while rest and hasattr(command, "commands"):
        if rest[0] == "--help":
            return None
        if rest[0] not in command.commands:
            return f"no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
    return f"no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_vigil_command_of_a_page_is_one(page: Path) -> None:
    wrong = {shlex.join(words): problem for words in commands_of(page.read_text(), "vigil") if (problem := understood(words))}
    assert wrong == {}


def test_a_command_that_is_none_is_seen() -> None:
    assert understood(["alerts", "list", "--opened"]) == "no option --opened"
    assert understood(["alarms"]) == "no command 'alarms'"
    assert understood(["alerts", "list", "--open"]) is None
    assert commands_of("Ask `vigil status --json` or\n```\n# vigil explain 1.2 && ls\n```\n", "vigil") == [
        ["explain", "1.2"], ["status", "--json"]]


def test_every_command_of_the_program_stands_on_a_page() -> None:
    told = " ".join(page.read_text() for page in PAGES)
    missing = [" ".join(path) for path in paths() if f"vigil {' '.join(path)}" not in told]
    assert missing == []


def paths() -> Iterator[tuple[str, ...]]:
    waiting = [((), get_command(app))]
    while waiting:
        path, command = waiting.pop()
        if hasattr(command, "commands"):
            waiting += [((*path, name), each) for name, each in command.commands.items()]
        else:
            yield path


def test_every_command_has_its_help() -> None:
    for path in paths():
        shown = CliRunner().invoke(app, [*path, "--help"])
        assert shown.exit_code == 0, path


@cache
def help_of(script: str) -> str:
    command = [str(REPOSITORY / "scripts" / script), "--help"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


SCRIPTS = sorted(path.name for path in (REPOSITORY / "scripts").iterdir() if path.is_file())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_script_of_a_page_exists_and_takes_its_options(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"`(?:\./)?scripts/([\w-]+)[` ]", text)) - {"hospital", "benchmark"}
    assert named <= set(SCRIPTS)
    wrong = [
        f"{script} {word}" for script in SCRIPTS for words in commands_of(text, f"scripts/{script}")
        for word in words if word.startswith("--") and word.split("=")[0] not in help_of(script)
    ]  # fmt: skip
    assert wrong == []
