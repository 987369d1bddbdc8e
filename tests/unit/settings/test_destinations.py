from __future__ import annotations

from typing import Any

import pytest

from vigil.settings import Settings, load
from vigil.settings.errors import SettingsInvalid

PACS = {"Host": "192.0.2.20", "Port": 104, "Aet": "PACS"}
WEB = {"Url": "https://archive.example.org/dicom-web"}


def section(**entries: Any) -> Settings:
    return load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/var/lib/vigil", **entries}})


def faults(**entries: Any) -> list[str]:
    with pytest.raises(SettingsInvalid) as refused:
        section(**entries)
    return [fault.text() for fault in refused.value.faults]


def pacs(**changes: Any) -> dict[str, Any]:
    return {"Pacs": {"main": PACS | changes}}


def web(**changes: Any) -> dict[str, Any]:
    return {"DicomWeb": {"archive": WEB | changes}}


def test_a_destination_has_the_standard_profile_and_is_not_asked_to_confirm() -> None:
    entry = section(**pacs()).pacs["main"]
    assert (entry.profile, entry.transfer_syntaxes, entry.most_captures) == ("standard", None, None)
    assert entry.storage_commitment is None
    assert section(**pacs(StorageCommitment={})).pacs["main"].storage_commitment is not None


def test_a_profile_that_is_none_is_told_which_there_are() -> None:
    assert faults(**pacs(Profile="sconly")) == [
        'Vigil.Pacs.main.Profile: "sconly" is not allowed; give "standard", "sc-only", "ohif", "weasis", "reporting-text", '
        '"multiframe-sc" or "full-frame-seg"']


@pytest.mark.parametrize("syntaxes", [["deflated"], [], ["rle", "rle"], "rle"])
def test_only_lossless_transfer_syntaxes_each_once(syntaxes: object) -> None:
    for told in (faults(**pacs(TransferSyntaxes=syntaxes)), faults(**web(TransferSyntaxes=syntaxes))):
        assert len(told) == 1
        assert '"jpeg-ls" and "jpeg-2000"' in told[0]


def test_names_are_one_destination_s_own_also_among_dicomweb_servers() -> None:
    told = faults(**pacs(), DicomWeb={"MAIN": WEB})
    assert told == ["Vigil.DicomWeb.MAIN: Vigil.Pacs.main has this name already; a destination's name is its own, in capitals or "
                    "not"]
    assert "give ids that Vigil.Models names" in faults(**web(Models=["nobody"]))[0]


@pytest.mark.parametrize(("changes", "words"), [
    ({"Url": "ftp://x/y"}, "begins with https:// or http://"),
    ({"Url": "https://user:geheim@archive.example.org"}, "holds no user or password"),
    ({"Url": "https://archive.example.org/dicom-web?x=1"}, "holds no ? and no #"),
    ({"Url": "http://archive.example.org", "Authentication": {"Kind": "bearer", "SecretFile": "/t"}}, "would travel in clear"),
    ({"Authentication": {"Kind": "bearer"}}, "give either SecretFile or SecretEnvironment"),
    ({"Authentication": {"Kind": "bearer", "SecretFile": "/t", "SecretEnvironment": "T"}}, "give either"),
    ({"Authentication": {"Kind": "basic", "SecretFile": "/t"}}, 'User is given with the kind "basic"'),
    ({"Authentication": {"Kind": "bearer", "User": "u", "SecretFile": "/t"}}, 'User is given with the kind "basic"'),
    ({"Authentication": {"Kind": "bearer", "SecretFile": "relative"}}, "absolute path"),
])
def test_a_web_server_that_cannot_be_reached_safely_is_named(changes: dict[str, Any], words: str) -> None:
    told = faults(**web(**changes))
    assert len(told) == 1
    assert words in told[0]
    assert "geheim" not in told[0]


def test_a_secret_may_go_in_clear_to_this_machine_alone() -> None:
    secret = {"Kind": "bearer", "SecretFile": "/t"}
    for host in ("127.0.0.1:8042", "[::1]:8042", "localhost"):
        assert section(**web(Url=f"http://{host}/dicom-web", Authentication=secret)).dicom_web


def test_the_listener_says_where_it_listens() -> None:
    assert any("CommitmentListener.Address: is missing" in told for told in faults(CommitmentListener={"Aet": "V", "Port": 1}))
    made = section(CommitmentListener={"Aet": "VIGIL", "Port": 4243, "Address": "192.0.2.5"}).commitment_listener
    assert made is not None
    assert (made.aet, made.port, made.address) == ("VIGIL", 4243, "192.0.2.5")
