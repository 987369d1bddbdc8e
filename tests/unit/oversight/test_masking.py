"""What a vendor may see: known keys, no secret, no person, and no id by which a study could be found elsewhere."""

from __future__ import annotations

import pytest

from vigil.oversight.masking import Pseudonyms, masked_configuration

STUDY = "1.2.826.0.1.3680043.8.498.12345678901234567890"
ORTHANC = "a1b2c3d4-00000001-11112222-deadbeef-0badcafe"


@pytest.mark.parametrize("identity", [STUDY, "1.2.3.4.5", "2.25.329800735698586629295641978511506172918", ORTHANC])
@pytest.mark.parametrize("around", ["{}", '"{}"', "study {}.", "/studies/{}/archive", "a {}: b", "{},", "deliver|pacs|{}|0"])
def test_an_id_of_a_study_gets_a_name_wherever_it_stands(identity: str, around: str) -> None:
    shown = Pseudonyms(b"key").over(around.format(identity))
    assert identity not in shown
    assert "uid-" in shown or "orthanc-" in shown


def test_the_name_is_the_same_in_one_bundle_and_another_in_the_next() -> None:
    one, other = Pseudonyms(b"one"), Pseudonyms(b"other")
    assert one.over(f"{STUDY} {STUDY}").split()[0] == one.over(STUDY)
    assert one.over(STUDY) != one.over("1.2.3.4.5")
    assert one.over(STUDY) != other.over(STUDY)


@pytest.mark.parametrize("text", [
    "192.0.2.10:104", "1.12.7", "2026.11.26", "SOP class 1.2.840.10008.5.1.4.1.1.88.34", "f" * 64, "2.25.1",
    "libpython3.11.so.1.0",
])
def test_what_names_nobody_stays(text: str) -> None:
    assert Pseudonyms(b"key").over(text) == text


def test_only_known_keys_are_shown_and_never_a_secret_or_a_person() -> None:
    shown = masked_configuration({
        "StableAge": 60, "RegisteredUsers": {"a": "hunter2"}, "PostgreSQL": {"Password": "hunter2"},
        "StorageDirectory": {"no": "path"},
        "Vigil": {
            "StateDirectory": "/var/lib/vigil", "ApiKay": "hunter2", "Password": "hunter2", "Odd": {"Host": "known below"},
            "DicomWeb": {"a": {"Url": "https://me:hunter2@archive/", "Authentication": {
                "Kind": "basic", "User": "dr.who", "SecretFile": "/etc/secret", "Secret": "hunter2"}}},
            "Escalation": {"Mail": {"desk": {"To": ["dr.who@example.org"], "PasswordVariable": "MAIL"}}},
            "Models": {"m": {"Stage": "live", "AlertOverride": {"By": "dr.who", "Reason": "of dr.who", "Date": "2026-11-26"}}}}})
    assert "hunter2" not in str(shown)
    assert "dr.who" not in str(shown)
    assert shown["StableAge"] == 60
    assert shown["(other keys)"] == ["PostgreSQL", "RegisteredUsers", "StorageDirectory"]
    vigil = shown["Vigil"]
    assert vigil["StateDirectory"] == "/var/lib/vigil"
    assert vigil["ApiKay"] == vigil["Password"] == "(left out)"
    assert vigil["DicomWeb"]["a"]["Authentication"]["SecretFile"] == "/etc/secret"
    assert vigil["Escalation"]["Mail"]["desk"]["PasswordVariable"] == "MAIL"
    assert vigil["Models"]["m"] == {"Stage": "live", "AlertOverride": {"By": "(left out)", "Reason": "(left out)",
                                                                       "Date": "2026-11-26"}}
