"""The receivers of HL7 alerts in the settings: shipped profiles, TLS, a second address, and what cannot work together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vigil.settings import Hl7Profile, RisDestination, load, settings_snapshot
from vigil.settings.errors import SettingsInvalid
from vigil.settings.hl7_profiles import FOLDER, NAMES, shipped


def read(profile: Any = None, **receiver: Any) -> RisDestination:
    entry = {"Host": "192.0.2.1", "Port": 2575, **({} if profile is None else {"Profile": profile}), **receiver}
    return load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/v", "Ris": {"ris": entry}}}).ris["ris"]


def fault(profile: Any = None, **receiver: Any) -> str:
    with pytest.raises(SettingsInvalid) as raised:
        read(profile, **receiver)
    return "\n".join(each.text() for each in raised.value.faults)


def test_every_shipped_profile_has_a_name_and_can_be_read() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)
    for name in NAMES:
        profile = read({"Base": name}).profile
        assert profile.base == name
        for key, value in shipped(name).items():
            written = json.loads(profile.model_dump_json(by_alias=True))[key]
            assert written == value, key


def test_the_standard_profile_says_what_the_defaults_are() -> None:
    assert read({"Base": "standard"}).profile == Hl7Profile()


def test_what_the_site_writes_goes_before_the_shipped_profile() -> None:
    profile = read({"Base": "legacy-2.3.1", "Version": "2.4", "CodingSystems": {}}).profile
    assert (profile.version, profile.character_set, profile.coding_systems) == ("2.4", "8859/1", {})


def test_the_snapshot_holds_the_whole_profile_and_not_only_its_name() -> None:
    settings = load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/v", "Ris": {
        "ris": {"Host": "h", "Port": 1, "Profile": {"Base": "legacy-2.3.1"}}}}})
    assert '"Version":"2.3.1"' in settings_snapshot(settings)[1]


def test_an_unknown_base_and_a_misspelt_key_are_told_with_their_place() -> None:
    told = 'Vigil.Ris.ris.Profile.Base: "epic" is not allowed; give "standard", "legacy-2.3.1" or "minimal"'
    assert told in fault({"Base": "epic"})
    assert 'did you mean "AcrCategory"' in fault({"Base": "minimal", "AcrCategorie": "OBX"})
    assert "Vigil.Ris.ris.Profile.Base" in fault({"Base": ["minimal"]})


@pytest.mark.parametrize(("profile", "words"), [
    ({"Version": "2.4", "Priority": "TQ1"}, "version 2.4 has no TQ1 segment"),
    ({"Base": "legacy-2.3.1", "Priority": "TQ1"}, "version 2.3.1 has no TQ1 segment"),
    ({"AcceptAcknowledgement": "AL"}, "in any other pair a message may stay without an answer"),
    ({"AcceptAcknowledgement": "NE", "ApplicationAcknowledgement": "NE"}, "may stay without an answer"),
    ({"ResultStatus": "F"}, "never final"),
    ({"PatientClass": "X"}, "such as \"E\" (emergency)"),
    ({"CodingSystems": {"99VIGIL": "a|b"}}, "Vigil.Ris.ris.Profile.CodingSystems"),
    ({"StudyUidCode": "a|b"}, "Vigil.Ris.ris.Profile.StudyUidCode"),
    ({"VersionText": "2.5\r"}, "Vigil.Ris.ris.Profile.VersionText"),
])
def test_choices_that_cannot_work_are_refused(profile: dict[str, Any], words: str) -> None:
    assert words in fault(profile)


def test_tls_and_a_second_address_are_read() -> None:
    entry = read(Second={"Host": "192.0.2.2", "Port": 2576}, Tls={
        "CertificateFile": "/etc/vigil/c.pem", "KeyFile": "/etc/vigil/c.key", "ServerName": "ris.example.org"})
    assert entry.second is not None
    assert (entry.second.host, entry.second.port) == ("192.0.2.2", 2576)
    assert entry.tls is not None
    assert (str(entry.tls.key_file), entry.tls.authority_file) == ("/etc/vigil/c.key", None)
    assert entry.tls.server_name == "ris.example.org"
    assert read(Tls={}).tls is not None
    assert read().tls is None


def test_half_of_a_key_pair_is_refused() -> None:
    assert "CertificateFile and KeyFile are given together" in fault(Tls={"CertificateFile": "/etc/vigil/c.pem"})
    assert "an absolute path" in fault(Tls={"AuthorityFile": "authority.pem"})
