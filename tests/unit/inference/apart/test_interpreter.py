"""Which program starts a model's process; inside Orthanc sys.executable is Orthanc."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from apart_cases import PYTHON

from vigil.domain.errors import Category
from vigil.inference.apart.errors import NoInterpreter
from vigil.inference.apart.interpreter import find_interpreter, own_version


def program(folder: Path, text: str) -> Path:
    folder.mkdir()
    made = folder / f"python{own_version()}"
    made.write_text(text)
    made.chmod(0o755)
    return made


def test_the_one_that_this_interpreter_was_installed_with_is_of_its_version() -> None:
    said = subprocess.run([PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True, text=True,
                          capture_output=True).stdout.strip()
    assert said == own_version()
    assert PYTHON.name == f"python{own_version()}"


def test_where_there_is_none_it_is_said_what_to_install_and_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(NoInterpreter) as caught:
        find_interpreter("3.99")
    assert caught.value.category is Category.SETTINGS_INVALID
    for words in ("no program python3.99", "apt-get install python3.99-minimal", 'set Runtime.Isolation to "none"'):
        assert words in caught.value.message
    with pytest.raises(NoInterpreter):
        find_interpreter(folders=[str(tmp_path)])


def test_a_program_that_is_not_what_its_name_says_is_passed_over(tmp_path: Path) -> None:
    old = program(tmp_path / "old", "#!/bin/sh\necho 3.9 cpython\n").parent
    threaded = program(tmp_path / "threaded", f"#!/bin/sh\necho {own_version()} cpython t\n").parent
    broken = program(tmp_path / "broken", "#!/bin/sh\nexit 1\n").parent
    no_program = program(tmp_path / "text", "nothing that runs").parent
    not_to_be_run = program(tmp_path / "closed", "#!/bin/sh\n").parent
    (not_to_be_run / f"python{own_version()}").chmod(0o644)
    good = tmp_path / "good"
    good.mkdir()
    shutil.copy(PYTHON.resolve(), good / PYTHON.name)
    bad = [str(folder) for folder in (old, threaded, broken, no_program, not_to_be_run)]
    with pytest.raises(NoInterpreter):
        find_interpreter(folders=bad)
    assert find_interpreter(folders=[*bad, str(good)]) == good / PYTHON.name
