"""The first configuration: the reference, closed, with one user whose password nobody knew before."""

from __future__ import annotations

from pathlib import Path

import pytest

from vigil.settings import load
from vigil.settings.configuration_files import read_configuration
from vigil.settings.first import RELEASE, FirstNotWritten, write_first


def test_it_is_the_reference_but_for_the_user_and_the_script(tmp_path: Path) -> None:
    first = write_first(tmp_path / "orthanc.json", "operator")
    written, reference = read_configuration(first.file), read_configuration(RELEASE / "orthanc.json")
    assert written["RegisteredUsers"] == {"operator": first.password}
    assert written["PythonScript"] == str(RELEASE / "plugin" / "vigil_plugin.py")
    same = {"RegisteredUsers", "PythonScript"}
    assert {key: value for key, value in written.items() if key not in same} == {
        key: value for key, value in reference.items() if key not in same}
    assert reference["RegisteredUsers"] == {}
    load(written)


def test_it_is_for_its_owner_alone_whatever_the_mask(tmp_path: Path) -> None:
    assert write_first(tmp_path / "orthanc.json", "operator").file.stat().st_mode & 0o777 == 0o600


def test_each_password_is_another_and_long(tmp_path: Path) -> None:
    passwords = {write_first(tmp_path / f"{number}.json", "operator").password for number in range(20)}
    assert len(passwords) == 20
    assert min(map(len, passwords)) >= 32


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "orthanc.json"
    file.write_text("the site's")
    with pytest.raises(FirstNotWritten, match="is there already"):
        write_first(file, "operator")
    assert file.read_text() == "the site's"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "orthanc.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(FirstNotWritten, match="is there already"):
        write_first(tmp_path / "orthanc.json", "operator")
    assert not (tmp_path / "elsewhere.json").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FirstNotWritten, match="cannot be written: No such file"):
        write_first(tmp_path / "absent" / "orthanc.json", "operator")


@pytest.mark.parametrize("user", ["", "a b", '"', "x" * 33, "-x", "name\n"])
def test_what_is_no_name_of_a_user_is_refused(tmp_path: Path, user: str) -> None:
    with pytest.raises(FirstNotWritten, match="1 to 32 letters"):
        write_first(tmp_path / "orthanc.json", user)
    assert list(tmp_path.iterdir()) == []


def test_another_reference_than_the_bundles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "orthanc.json").write_text('{ "RegisteredUsers" : { "orthanc" : "orthanc" } }')
    with pytest.raises(FirstNotWritten, match="not the one of the bundle"):
        write_first(tmp_path / "new.json", "operator", tmp_path)
    assert not (tmp_path / "new.json").exists()


def test_an_installed_release_is_named_by_the_link_which_an_update_moves(tmp_path: Path) -> None:
    release = tmp_path / "releases" / "0.1.0"
    release.mkdir(parents=True)
    (release / "orthanc.json").write_bytes((RELEASE / "orthanc.json").read_bytes())
    (tmp_path / "current").symlink_to(release)
    first = write_first(tmp_path / "orthanc.json", "operator", release)
    assert read_configuration(first.file)["PythonScript"] == str(tmp_path / "current" / "plugin" / "vigil_plugin.py")
