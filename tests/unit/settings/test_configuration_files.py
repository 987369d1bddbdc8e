"""Orthanc's configuration on disk: comments, folders, and what is no JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.settings.configuration_files import read_configuration, without_comments
from vigil.settings.errors import SettingsInvalid


def test_both_kinds_of_comments_are_taken_out() -> None:
    text = '/* a\n b */ { // c\n "a" : 1, /* "b" : 2, */ "c" : 3 // d\n}'
    assert json.loads(without_comments(text)) == {"a": 1, "c": 3}


def test_what_looks_like_a_comment_in_a_string_stays() -> None:
    assert json.loads(without_comments(r'{"a": "http://x/*y*/", "b": "\"//\\"}')) == {"a": "http://x/*y*/", "b": '"//\\'}


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_json_without_comments_is_not_changed(content: dict[str, object]) -> None:
    assert json.loads(without_comments(json.dumps(content))) == content


@settings(deadline=None)
@given(st.text(alphabet='{}"\\/*\n a:,'))
def test_every_line_keeps_its_number(text: str) -> None:
    assert without_comments(text).count("\n") == text.count("\n")


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "orthanc.json"
    file.write_text('{"Name": "x" /* y */}')
    assert read_configuration(file) == {"Name": "x"}


def test_the_files_of_a_folder_are_merged(tmp_path: Path) -> None:
    (tmp_path / "orthanc.json").write_text('{"Name": "x"}')
    (tmp_path / "vigil.json").write_text('{"Vigil": {}}')
    (tmp_path / "note.txt").write_text("no JSON")
    assert read_configuration(tmp_path) == {"Name": "x", "Vigil": {}}


def test_a_key_of_two_files_is_told_for_orthanc_would_not_start(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"PythonScript": "x"}')
    (tmp_path / "b.json").write_text('{"PythonScript": "y"}')
    with pytest.raises(SettingsInvalid, match=r"PythonScript: is defined twice, the second time in .*b\.json"):
        read_configuration(tmp_path)


@pytest.mark.parametrize(("content", "told"), [
    (b'{"a": 1,\n "b" 2}', "is no JSON at line 2, column 6"),
    (b"[1]", "must hold one JSON object"),
    (b"", "is no JSON at line 1"),
    (b'{"a": "\xff"}', "is not encoded in UTF-8"),
    (b"[" * 100_000, "is nested too deeply"),
])
def test_what_cannot_be_read_is_told_with_its_place(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "orthanc.json"
    file.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=told) as raised:
        read_configuration(file)
    assert str(file) in raised.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read: No such file"):
        read_configuration(tmp_path / "none.json")


def test_a_folder_without_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"holds no \*\.json file"):
        read_configuration(tmp_path)
