"""Each choice of a destination profile, read back by python-hl7, and the three shipped profiles held against the standard."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import hl7
import pytest
from delivery_cases import PROFILE, STUDY_UID, alert, answer, header, manifest

from vigil.delivery.destination import ris_destination
from vigil.delivery.errors import DestinationInvalid
from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.conformance import faults
from vigil.delivery.hl7.message import compose, write
from vigil.delivery.hl7.profile import AcrIn, Hl7Profile, LinkAs, PriorityIn, StudyUidAs, Version
from vigil.delivery.hl7.trial import PATIENT_ID, trial_message
from vigil.domain import codes
from vigil.domain.answer import AnswerKind, Finding, Measurement
from vigil.domain.concepts import Code
from vigil.settings import load
from vigil.settings.configuration_files import without_comments
from vigil.settings.hl7_profiles import NAMES

EVERY_KIND = (
    alert(), alert(answer=answer(AnswerKind.NEGATIVE, 1.0)), alert(AlertKind.CORRECTION, revision=2, cause="late images"),
    alert(AlertKind.WITHDRAWAL, revision=2), alert(AlertKind.WRONG_PATIENT, revision=2),
    alert(AlertKind.NOT_ANALYSED, answer=answer(AnswerKind.FAILED)),
)


def read(made: Alert, profile: Hl7Profile) -> hl7.Message:
    return hl7.parse(write(made, profile).content.decode(profile.codec))


def field(message: hl7.Message, segment: str, number: int) -> str:
    found = message.segment(segment)
    return str(found(number)) if len(found) > number else ""


def rows(message: hl7.Message) -> list[list[str]]:
    """The OBX segments, each with 20 fields."""
    return [([str(part) for part in segment] + [""] * 20)[:20] for segment in message.segments("OBX")]


def names(message: hl7.Message) -> list[str]:
    return [str(segment(0)) for segment in message]


def shipped(name: str, **more: object) -> Hl7Profile:
    """A shipped profile as a site names it in its configuration."""
    settings = load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/var/lib/vigil", "Ris": {
        "ris": {"Host": "192.0.2.1", "Port": 2575, "Profile": {"Base": name, **more}}}}})
    return ris_destination("ris", settings).profile


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", range(len(EVERY_KIND)))
def test_every_message_of_a_shipped_profile_is_what_the_standard_asks_for(name: str, kind: int) -> None:
    profile = shipped(name, Link="https://viewer.example.org/{study_uid}")
    made = replace(EVERY_KIND[kind], patient_study=header("Müller^Jörg"))
    assert faults(write(made, profile).content, profile) == ()


def test_the_standard_profile_is_the_default() -> None:
    assert shipped("standard") == ris_destination("ris", load({"Vigil": {
        "SchemaVersion": 1, "StateDirectory": "/v", "Ris": {"ris": {"Host": "h", "Port": 1}}}})).profile


def test_the_legacy_profile_is_the_old_world() -> None:
    message = read(alert(), shipped("legacy-2.3.1"))
    assert (field(message, "MSH", 12), field(message, "MSH", 18)) == ("2.3.1", "8859/1")
    assert field(message, "OBR", 27) == "^^^^^S"
    assert field(message, "ZDS", 1) == f"{STUDY_UID}^VIGIL^Application^DICOM"
    assert "99VIGIL" not in str(message)


def test_the_minimal_profile_says_everything_in_words_and_nothing_in_codes() -> None:
    message = read(alert(), shipped("minimal"))
    assert {row[3].split("^")[0] for row in rows(message)} == {"113014", "59776-5"}
    assert "NTE" not in names(message)
    words = " ".join(row[5] for row in rows(message))
    for said in ("19.9 mL", "ACR category 1", "unread by a physician", "ACC1"):
        assert said in words


def test_a_site_s_own_value_goes_before_the_shipped_one() -> None:
    profile = shipped("legacy-2.3.1", CharacterSet="ASCII", SendingFacility="HOSP")
    assert (profile.version, profile.character_set, profile.sending_facility) == (Version.V231, "ASCII", "HOSP")


@pytest.mark.parametrize(("place", "version"), [
    (PriorityIn.TQ1, Version.V251), (PriorityIn.OBR_27, Version.V251), (PriorityIn.OBR_5, Version.V251),
    (PriorityIn.NONE, Version.V251), (PriorityIn.OBR_27, Version.V24), (PriorityIn.OBR_5, Version.V231),
])
def test_the_priority_stands_where_the_receiver_looks_for_it(place: PriorityIn, version: Version) -> None:
    profile = replace(PROFILE, priority=place, version=version)
    message = read(alert(), profile)
    found = {
        PriorityIn.TQ1: "S^STAT" in field(message, "TQ1", 9) if "TQ1" in names(message) else False,
        PriorityIn.OBR_27: field(message, "OBR", 27) == "^^^^^S", PriorityIn.OBR_5: field(message, "OBR", 5) == "S",
    }
    assert [each for each, there in found.items() if there] == ([] if place is PriorityIn.NONE else [place])
    assert faults(write(alert(), profile).content, profile) == ()


def test_the_acr_category_stands_where_the_receiver_looks_for_it() -> None:
    def places(**choice: object) -> list[tuple[str, int]]:
        profile = replace(PROFILE, **choice)  # type: ignore[arg-type]
        assert faults(write(alert(), profile).content, profile) == ()
        return [(row[3].split("^")[0], number) for row in rows(read(alert(), profile))
                for number, value in enumerate(row) if value.startswith("RID49480^")]

    assert places() == [("VG-ACRCAT", 5)]
    assert places(acr_category=AcrIn.OBX_15) == [("VG-HDR", 15)]
    assert places(acr_category=AcrIn.OBX_15, coded_answer=False) == [("59776-5", 15)]
    assert places(acr_category=AcrIn.NONE) == []


def test_a_retraction_names_no_category_wherever_it_stood() -> None:
    for place in AcrIn:
        assert b"RID4948" not in write(alert(AlertKind.WITHDRAWAL), replace(PROFILE, acr_category=place)).content


def test_the_study_uid_is_named_as_the_receiver_wants_it_or_in_zds_alone() -> None:
    profile = replace(PROFILE, study=Code("STUDYUID", "L", "Study"), study_uid=StudyUidAs.HD)
    assert rows(read(alert(), profile))[0][2:6] == ["HD", "STUDYUID^Study^L", "", f"^{STUDY_UID}^ISO"]
    message = read(alert(), replace(PROFILE, study_uid=StudyUidAs.NONE, zds=True))
    assert not any(row[3].startswith("113014") for row in rows(message))
    assert STUDY_UID in field(message, "ZDS", 1)


def test_the_header_is_the_receiver_s_choice() -> None:
    profile = replace(PROFILE, version_text="2.5", accept_acknowledgement="AL", application_acknowledgement="NE",
                      processing_id="D")
    message = read(alert(), profile)
    assert [field(message, "MSH", number) for number in (11, 12, 15, 16)] == ["D", "2.5", "AL", "NE"]
    assert faults(write(alert(), profile).content, profile) == ()


def test_coding_systems_bear_the_receiver_s_names() -> None:
    content = write(alert(), replace(PROFILE, coding_systems={"99VIGIL": "L", "SCT": "SNM3", "RadLex": "99RDX"})).content.decode()
    assert "|VG-HDR^Hyperdense intracranial region^L|" in content
    assert "52101004^Present^SNM3" in content
    assert "^99RDX|" in content
    assert "99VIGIL" not in content


@pytest.mark.parametrize("kind", list(LinkAs))
def test_the_link_has_the_type_that_the_receiver_shows(kind: LinkAs) -> None:
    link = rows(read(alert(), replace(PROFILE, link_as=kind, link="https://v.example/?a=1&uid={study_uid}")))[-1]
    assert link[2] == kind.value
    assert link[5].split("^")[0] == f"https://v.example/?a=1\\T\\uid={STUDY_UID}"


def test_a_test_says_so_first_is_no_production_and_never_urgent() -> None:
    message = read(alert(), replace(PROFILE, test=True))
    assert field(message, "MSH", 11) == "T"
    assert "TQ1" not in names(message)
    assert next(row[5] for row in rows(message) if row[2] == "TX").startswith("TEST MESSAGE, not a result: AI ALERT")


def test_the_message_of_a_trial_is_an_alert_about_nobody() -> None:
    model, now = manifest(), alert().created_at
    sent = trial_message("ris", PROFILE, model, now)
    message = hl7.parse(sent.content.decode())
    assert field(message, "MSH", 11) == "T"
    assert field(message, "PID", 3).startswith(f"{PATIENT_ID}^")
    assert set(names(message)) == set(names(read(alert(), PROFILE))) - {"TQ1"}
    assert faults(sent.content, PROFILE) == ()
    assert sent.control_id == field(message, "MSH", 10) != trial_message("ehr", PROFILE, model, now).control_id
    assert len(sent.control_id) == 20


def test_findings_are_told_the_gravest_first_in_numbers_and_in_words() -> None:
    def finding(category: int | None, value: float) -> Finding:
        measured = Measurement(codes.HYPERDENSE_VOLUME, value, codes.MILLILITRE)
        return Finding(codes.HYPERDENSE_REGION, codes.MORPHOLOGICALLY_ALTERED_STRUCTURE, codes.BRAIN, (measured,),
                       acr_category=category)

    several = replace(answer(), findings=(finding(None, 4.0), finding(3, 3.0), finding(1, 1.0), finding(2, 2.0)))
    message = read(alert(answer=several), PROFILE)
    told = [(row[4], row[5]) for row in rows(message) if row[2] == "NM"]
    assert told == [("1", "19.9"), ("2", "1.0"), ("3", "2.0"), ("4", "3.0"), ("5", "4.0")]
    words = [row[5] for row in rows(message) if row[5].startswith("Finding ")]
    assert words[0] == "Finding 1: Hyperdense intracranial region, Brain, 1.0 mL, ACR category 1."
    assert words[3] == "Finding 4: Hyperdense intracranial region, Brain, 4.0 mL."
    assert field(message, "TQ1", 9).startswith("S^")


def test_a_correction_deletes_the_findings_that_it_no_longer_has() -> None:
    several = replace(answer(), findings=answer().findings * 3)
    standing: dict[tuple[str, str], str] = {}
    for made in (alert(answer=several), alert(AlertKind.CORRECTION, revision=2, answer=answer(value=7.0), replaces=several)):
        for row in rows(read(made, PROFILE)):
            standing[row[3], row[4]] = "" if row[11] == "D" else row[5]
    assert [value for (code, _), value in standing.items() if code.startswith("VG-HDV") and value] == ["7.0"]
    assert not any(value.startswith("Finding ") for value in standing.values())


@pytest.mark.parametrize(("character_set", "name", "expected"), [
    ("UNICODE UTF-8", "Yamada^Tarou=山田^太郎=やまだ^たろう",
     "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"),
    ("ISO IR87", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"),
    ("8859/1", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou^^^^^L^A"),
    ("8859/1", "Müller^Jörg", "Müller^Jörg^^^^^L^A"),
    ("UNICODE UTF-8", "قباني^لنزار", "قباني^لنزار^^^^^L^A"),
    ("8859/6", "قباني^لنزار", "قباني^لنزار^^^^^L^A"),
    ("ASCII", "قباني^لنزار", "?????^?????^^^^^L^A"),
])
def test_a_name_is_written_in_the_receiver_s_character_set(character_set: str, name: str, expected: str) -> None:
    profile = replace(PROFILE, character_set=character_set)
    made = alert(patient_study=header(name, ReferringPhysicianName=None))
    composed = compose(made, profile)
    assert field(hl7.parse(composed.content.decode(profile.codec)), "PID", 5) == expected
    assert not any("standard objects" in warning for warning in composed.warnings)
    assert any("lacks were replaced" in warning for warning in composed.warnings) is ("?" in expected)
    assert not any(part in warning for warning in composed.warnings for part in name.split("^"))


def test_japanese_in_jis_is_ascii_again_before_every_delimiter() -> None:
    profile = replace(PROFILE, character_set="ISO IR87")
    content = write(alert(patient_study=header("Yamada^Tarou=山田^太郎")), profile).content
    message = hl7.parse(content.decode("iso2022_jp"))
    assert (field(message, "MSH", 18), field(message, "MSH", 20)) == ("~ISO IR87", "ISO 2022-1994")
    pid = content.split(b"\r")[1]
    shifted = pid.split(b"\x1b$B")[1:]
    assert shifted
    assert all(b"\x1b(B" in part for part in shifted)


def test_what_the_standard_objects_to_is_a_warning_and_the_message_is_sent() -> None:
    composed = compose(alert(), replace(PROFILE, sending_facility="H" * 300))
    assert b"H" * 300 in composed.content
    assert any(warning.startswith("the HL7 standard objects: ") for warning in composed.warnings)


@pytest.mark.parametrize("choice", [
    {"accept_acknowledgement": "AL"}, {"accept_acknowledgement": "NE", "application_acknowledgement": "NE"},
    {"application_acknowledgement": "AL"}, {"priority": PriorityIn.TQ1, "version": Version.V24},
])
def test_a_choice_that_cannot_work_is_refused(choice: dict[str, object]) -> None:
    with pytest.raises(DestinationInvalid):
        Hl7Profile(**choice)  # type: ignore[arg-type]


def test_the_conformance_statement_shows_the_message_that_is_sent_and_an_example_that_loads() -> None:
    text = (Path(__file__).parents[4] / "docs" / "hl7-conformance.md").read_text(encoding="utf-8")
    shown, example = re.findall(r"```(?:json)?\n(.*?)```", text, re.DOTALL)
    assert shown == write(alert(), PROFILE).content.decode().replace("\r", "\n")
    receivers = json.loads("{" + without_comments(example) + "}")
    settings = load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/var/lib/vigil", **receivers}})
    profile = ris_destination("engine", settings).profile
    assert (profile.version, profile.priority, profile.acr_category) == (Version.V24, PriorityIn.OBR_5, AcrIn.OBX_15)
    assert faults(write(alert(), profile).content, profile) == ()
