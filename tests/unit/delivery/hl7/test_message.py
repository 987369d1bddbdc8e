"""The ORU^R01, read back by software that the project did not write, and held against the standard's own tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import hl7
import pytest
from delivery_cases import PROFILE, SENT_AT, STUDY_UID, alert, answer, code, header, manifest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from vigil.delivery.errors import DestinationInvalid, MessageInvalid
from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.conformance import faults
from vigil.delivery.hl7.escape import one_line, readable
from vigil.delivery.hl7.message import compose, write
from vigil.delivery.hl7.profile import Hl7Profile, StudyUidAs, Version
from vigil.delivery.hl7.segment import coded as segment_coded
from vigil.domain import codes
from vigil.domain.answer import AnswerKind
from vigil.domain.concepts import Code

GOLDEN = Path(__file__).parent / "golden"
HAEMORRHAGE = Code("1386000", "SCT", "Intracranial hemorrhage")


def build_oru(made: Alert, profile: Hl7Profile) -> bytes:
    return write(made, profile).content


def read(content: bytes, codec: str = "utf-8") -> hl7.Message:
    return hl7.parse(content.decode(codec))


def field(message: hl7.Message, name: str, number: int) -> str:
    return str(message.segment(name)(number)) if len(message.segment(name)) > number else ""


def observations(message: hl7.Message) -> Iterator[dict[str, str]]:
    for segment in message.segments("OBX"):
        values = [str(part) for part in segment] + [""] * 20
        yield {
            "type": values[2], "code": values[3].split("^")[0], "group": values[4], "value": values[5],
            "unit": values[6], "range": values[7], "flag": values[8], "status": values[11], "values": values,
        }


def by_code(message: hl7.Message, identifier: str) -> dict[str, Any]:
    return next(item for item in observations(message) if item["code"] == identifier)


def texts(message: hl7.Message) -> list[str]:
    return [message.unescape(item["value"]) for item in observations(message) if item["type"] == "TX" and item["value"]]


def via_file(dataset: Dataset) -> Dataset:
    """The header as it comes out of a DICOM file, encoded in its own character set."""
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()))


@pytest.mark.parametrize(
    ("golden", "made"),
    [
        ("positive", alert()),
        ("negative", alert(answer=answer(AnswerKind.NEGATIVE, 1.2))),
        ("not-analysed", alert(AlertKind.NOT_ANALYSED, answer=answer(AnswerKind.NOT_ANALYSED))),
        ("withdrawal", alert(AlertKind.WITHDRAWAL, revision=2, cause="the study was repeated")),
        (
            "correction",
            alert(AlertKind.CORRECTION, revision=2, cause="late images arrived", answer=answer(AnswerKind.NEGATIVE, 1.2)),
        ),
        ("research", alert(manifest=manifest(status="research"), override="Dr A. Smith")),
    ],
)
def test_the_message_is_the_one_that_was_looked_at(golden: str, made: Any) -> None:
    expected = (GOLDEN / f"{golden}.hl7").read_text(encoding="utf-8").replace("\n", "\r")
    assert build_oru(made, PROFILE).decode() == expected


def test_the_same_alert_gives_the_same_bytes() -> None:
    assert build_oru(alert(), PROFILE) == build_oru(alert(), PROFILE)


def test_the_header_says_who_what_and_when() -> None:
    message = read(build_oru(alert(), PROFILE))
    assert field(message, "MSH", 3) == "VIGIL"
    assert field(message, "MSH", 4) == "HOSP^2.16.840.1.113883.19.1^ISO"
    assert field(message, "MSH", 5) == "EHR"
    assert field(message, "MSH", 7) == "20261122204500.123+0000"
    assert field(message, "MSH", 9) == "ORU^R01^ORU_R01"
    assert field(message, "MSH", 10) == "V0123456789ABCDEF012"
    assert field(message, "MSH", 11) == "P"
    assert field(message, "MSH", 12) == "2.5.1"
    assert field(message, "MSH", 15) == field(message, "MSH", 16) == ""
    assert field(message, "MSH", 18) == "UNICODE UTF-8"


@pytest.mark.parametrize(
    ("character_set", "name", "expected"),
    [
        ("ISO_IR 192", "Müller^Jörg^^Dr.^jun.", "Müller^Jörg^^jun.^Dr.^^L^A"),
        ("ISO_IR 100", "Müller^Jörg", "Müller^Jörg^^^^^L^A"),
        ("ISO_IR 127", "قباني^لنزار", "قباني^لنزار^^^^^L^A"),
        (
            ["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P",
        ),
        ("GB18030", "Wang^XiaoDong=王^小东", "Wang^XiaoDong^^^^^L^A~王^小东^^^^^L^I"),
    ],
)
def test_a_patient_of_any_character_set_is_read_back(character_set: Any, name: str, expected: str) -> None:
    dataset = header(name)
    dataset.SpecificCharacterSet = character_set
    content = build_oru(alert(patient_study=via_file(dataset)), PROFILE)
    message = read(content)
    assert field(message, "PID", 5) == expected
    assert field(message, "PID", 3) == "PAT-1^^^HOSP&2.16.840.1.113883.19.1&ISO^MR"
    assert field(message, "PID", 7) == "19700101"
    assert field(message, "PID", 8) == "F"
    assert faults(content, PROFILE) == ()


def test_visit_and_order_are_told() -> None:
    message = read(build_oru(alert(), PROFILE))
    assert field(message, "PV1", 2) == "U"
    emergency = replace(PROFILE, patient_class="E")
    assert field(read(build_oru(alert(), emergency)), "PV1", 2) == "E", "a receiver of the emergency department alone"
    assert field(message, "PV1", 3) == "ED-12"
    assert field(message, "PV1", 8) == "^Referrer^Rita^^^Dr."
    assert field(message, "PV1", 19) == "V123"
    assert field(message, "ORC", 1) == "RE"
    assert field(message, "OBR", 2) == field(message, "ORC", 2) == "PLC1^RIS"
    assert field(message, "OBR", 3) == field(message, "ORC", 3) == "V8F3A1C2D4E5F60^VIGIL"
    assert field(message, "OBR", 4) == "30799-1^CT Head WO contrast^LN"
    assert field(message, "OBR", 7) == "20261122203000+0000"
    assert field(message, "OBR", 16) == "^Referrer^Rita^^^Dr."
    assert field(message, "OBR", 18) == "ACC1"
    assert field(message, "OBR", 22) == "20261122204500+0000"
    assert field(message, "OBR", 24) == "CT"


def test_our_order_number_is_never_the_accession_number() -> None:
    message = read(build_oru(alert(), PROFILE))
    assert "ACC1" not in field(message, "OBR", 3)


def test_the_result_is_marked_unverified() -> None:
    message = read(build_oru(alert(), PROFILE))
    assert field(message, "OBR", 25) == "R"
    assert {item["status"] for item in observations(message)} == {"R", "O"}
    preliminary = read(build_oru(alert(), replace(PROFILE, result_status="P")))
    assert field(preliminary, "OBR", 25) == "P"


def test_the_volume_is_a_local_code_with_its_value_and_no_disease() -> None:
    content = build_oru(alert(), PROFILE)
    volume = by_code(read(content), "VG-HDV")
    assert (volume["type"], volume["value"], volume["unit"]) == ("NM", "19.9", "mL^milliliter^UCUM")
    assert (volume["range"], volume["flag"], volume["status"]) == ("<5.0", "AA", "R")
    assert volume["values"][14] == "20261122203000+0000"
    assert volume["values"][17] == "hdv-1.0.0^Hyperdense volume 1.0.0^99VIGIL"
    assert volume["values"][18] == "hdv-1.0.0^VIGIL"
    assert volume["values"][19] == "20261122204430+0000"
    assert b"1386000" not in content
    assert "emorrhage" not in content.decode()


def test_a_model_that_claims_a_disease_sends_its_code() -> None:
    claiming = manifest(concept=HAEMORRHAGE)
    message = read(build_oru(alert(manifest=claiming), PROFILE))
    assert by_code(message, "18782-3")["value"] == "1386000^Intracranial hemorrhage^SCT"
    negative = read(build_oru(alert(manifest=claiming, answer=answer(AnswerKind.NEGATIVE, 1.0)), PROFILE))
    assert by_code(negative, "1386000")["value"] == segment_coded(codes.ABSENT)
    assert not any(item["code"] == "18782-3" for item in observations(negative))


@pytest.mark.parametrize(
    ("kind", "coded"),
    [
        (AnswerKind.POSITIVE, segment_coded(codes.PRESENT)),
        (AnswerKind.NEGATIVE, segment_coded(codes.ABSENT)),
        (AnswerKind.INDETERMINATE, segment_coded(codes.INDETERMINATE)),
    ],
)
def test_each_answer_of_the_model_has_its_own_code(kind: AnswerKind, coded: str) -> None:
    assert by_code(read(build_oru(alert(answer=answer(kind)), PROFILE)), "VG-HDR")["value"] == coded


@pytest.mark.parametrize(
    ("kind", "coded"),
    [(AnswerKind.NOT_ANALYSED, "VG-NA^Not analysed^99VIGIL"), (AnswerKind.FAILED, "VG-FAIL^Analysis failed^99VIGIL")],
)
def test_no_answer_is_coded_as_such_with_its_reason_and_without_values(kind: AnswerKind, coded: str) -> None:
    message = read(build_oru(alert(AlertKind.NOT_ANALYSED, answer=answer(kind)), PROFILE))
    assert by_code(message, "VG-STATUS")["value"] == coded
    assert field(message, "OBR", 25) == "X"
    assert {item["status"] for item in observations(message)} == {"X", "O"}
    assert not any(item["type"] == "NM" for item in observations(message))
    assert any("Reason: one slice of 30 is missing." in text for text in texts(message))
    assert any("says nothing about the images" in text for text in texts(message))


def test_a_negative_is_neither_flagged_normal_nor_urgent() -> None:
    message = read(build_oru(alert(answer=answer(AnswerKind.NEGATIVE, 1.2)), PROFILE))
    assert {item["flag"] for item in observations(message)} == {""}
    assert "TQ1" not in {str(segment(0)) for segment in message}
    assert "does not exclude" in texts(message)[0]
    assert not any(item["code"] == "VG-ACRCAT" for item in observations(message))


@pytest.mark.parametrize(("value", "shown"), [(4.97, "4.97"), (4.9999, "4.9999"), (5.0, "5.0"), (19.94, "19.9")])
def test_a_rounded_value_never_changes_sides_of_the_threshold(value: float, shown: str) -> None:
    message = read(build_oru(alert(answer=answer(AnswerKind.NEGATIVE, value)), PROFILE))
    assert by_code(message, "VG-HDV")["value"] == shown


@pytest.mark.parametrize(
    ("category", "priority", "radlex"),
    [(1, "S^STAT^HL70485", "RID49480"), (2, "A^ASAP^HL70485", "RID49481"), (3, None, "RID49482"), (None, None, None)],
)
def test_the_acr_category_makes_the_priority(category: int | None, priority: str | None, radlex: str | None) -> None:
    message = read(build_oru(alert(answer=answer(acr_category=category)), PROFILE))
    assert [str(segment(9)) for segment in message if str(segment(0)) == "TQ1"] == ([priority] if priority else [])
    assert [item["value"].split("^")[0] for item in observations(message) if item["code"] == "VG-ACRCAT"] == (
        [radlex] if radlex else []
    )


def test_a_research_model_is_in_training_mode_and_never_urgent_without_an_override() -> None:
    message = read(build_oru(alert(manifest=manifest(status="research")), PROFILE))
    assert field(message, "MSH", 11) == "T"
    assert "TQ1" not in {str(segment(0)) for segment in message}
    assert not any("look at the images now" in text for text in texts(message))


def test_a_research_model_under_an_override_is_urgent_and_says_that_it_is_research() -> None:
    content = build_oru(alert(manifest=manifest(status="research"), override="Dr A. Smith"), PROFILE)
    message = read(content)
    assert field(message, "MSH", 11) == "P"
    assert field(message, "TQ1", 9) == "S^STAT^HL70485"
    assert any("research use only" in text for text in texts(message))
    assert any("Dr A. Smith" in str(segment(3)) for segment in message.segments("NTE"))


def test_a_triage_only_clearance_tells_no_number() -> None:
    content = build_oru(alert(manifest=manifest(permitted=["notification"], concept=HAEMORRHAGE)), PROFILE)
    message = read(content)
    assert b"19.9" not in content
    assert texts(message)[0] == "AI ALERT, unread: Intracranial hemorrhage suspected."
    assert not any(item["type"] == "NM" for item in observations(message))


@pytest.mark.parametrize(("permitted", "concept", "told"), [
    ("score", codes.HYPERDENSE_VOLUME, False), ("measurement", codes.HYPERDENSE_VOLUME, True),
    ("score", codes.CERTAINTY_OF_FINDING, True), ("measurement", codes.CERTAINTY_OF_FINDING, False)])
def test_a_score_does_not_leave_as_a_measurement_nor_a_measurement_as_a_score(
    permitted: str, concept: Code, told: bool,
) -> None:
    made = alert(manifest=manifest(permitted=["notification", permitted]))
    measured = replace(made.answer.measured, concept=concept)  # type: ignore[type-var]
    found = tuple(replace(item, measurements=(measured,)) for item in made.answer.findings)
    content = build_oru(replace(made, answer=replace(made.answer, measured=measured, findings=found)), PROFILE)
    assert (b"19.9" in content) == told
    assert any(item["type"] == "NM" and item["value"] for item in observations(read(content))) == told


def test_the_first_line_says_what_happened_and_every_line_fits() -> None:
    lines = texts(read(build_oru(alert(), PROFILE)))
    assert lines[0] == (
        "AI ALERT, unread: Hyperdense intracranial volume 19.9 mL, at or above the threshold of 5.0 mL."
    )
    assert lines[-1] == "Automated result, unread by a physician. Not for primary diagnosis."
    assert all(len(line) <= 199 for line in lines)


def test_times_for_people_are_in_the_sites_zone() -> None:
    lines = texts(read(build_oru(alert(), replace(PROFILE, zone=ZoneInfo("Europe/Berlin")))))
    assert any("22 Nov 2026 21:30 UTC+01:00" in line for line in lines)
    assert any("22 Nov 2026 21:44 UTC+01:00" in line for line in lines)


def test_lines_of_text_do_not_replace_each_other() -> None:
    for made in (alert(), alert(AlertKind.CORRECTION, cause="x"), alert(AlertKind.WITHDRAWAL, cause="x")):
        keys = [(item["code"], item["group"]) for item in observations(read(build_oru(made, PROFILE)))]
        assert len(keys) == len(set(keys))


def test_a_correction_is_another_message_about_the_same_order() -> None:
    first = read(build_oru(alert(), PROFILE))
    corrected = read(
        build_oru(
            alert(AlertKind.CORRECTION, revision=2, control_id="V2", answer=answer(AnswerKind.NEGATIVE, 1.2)), PROFILE
        )
    )
    assert field(corrected, "OBR", 3) == field(first, "OBR", 3)
    assert field(corrected, "MSH", 10) == "V2"
    assert field(corrected, "OBR", 25) == "R"
    assert texts(corrected)[0].startswith("CORRECTED AI RESULT (revision 2, replaces the one sent before), unread:")


def test_a_correction_deletes_what_no_longer_stands() -> None:
    standing: dict[tuple[str, str], str] = {}
    corrected = alert(AlertKind.CORRECTION, revision=2, answer=answer(AnswerKind.NEGATIVE, 1.2))
    unanalysed = alert(AlertKind.CORRECTION, revision=3, answer=answer(AnswerKind.NOT_ANALYSED))
    for made, forbidden in (
        (alert(), "never"), (corrected, "RID49480"), (alert(AlertKind.CORRECTION, revision=3), "never"),
        (unanalysed, "19.9"),
    ):
        for item in observations(read(build_oru(made, PROFILE))):
            standing[item["code"], item["group"]] = item["value"] if item["status"] != "D" else ""
        everything = " ".join(standing.values())
        assert forbidden not in everything
    assert "look at the images now" not in everything
    assert "Present" not in everything


def test_a_correction_of_a_disease_deletes_the_disease() -> None:
    standing: dict[tuple[str, str], str] = {}
    claiming = manifest(concept=HAEMORRHAGE)
    for made in (
        alert(manifest=claiming), alert(AlertKind.CORRECTION, manifest=claiming, answer=answer(AnswerKind.NEGATIVE, 1.0))
    ):
        for item in observations(read(build_oru(made, PROFILE))):
            standing[item["code"], item["group"]] = item["value"] if item["status"] != "D" else ""
    assert standing["18782-3", "1"] == ""
    assert "1386000" not in " ".join(standing.values())


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [(AlertKind.WITHDRAWAL, "D", "AI RESULT WITHDRAWN"), (AlertKind.WRONG_PATIENT, "W", "WRONG PATIENT")],
)
@pytest.mark.parametrize("now", [AnswerKind.POSITIVE, AnswerKind.NEGATIVE, AnswerKind.FAILED])
def test_a_retraction_takes_every_value_back_whatever_the_answer_is_now(
    kind: AlertKind, status: str, words: str, now: AnswerKind
) -> None:
    content = build_oru(alert(kind, revision=2, cause="the study was repeated", answer=answer(now)), PROFILE)
    message = read(content)
    assert field(message, "OBR", 25) == "X"
    for identifier in ("VG-HDR", "VG-HDV", "VG-ACRCAT"):
        assert by_code(message, identifier)["status"] == status
        assert by_code(message, identifier)["value"] == ""
    assert b"19.9" not in content
    assert b"TQ1" not in content
    assert texts(message)[0].startswith(words)
    assert "Why: the study was repeated." in texts(message)
    assert {item["flag"] for item in observations(message)} == {""}


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("study_uid", [StudyUidAs.ST, StudyUidAs.HD, StudyUidAs.RP])
@pytest.mark.parametrize("zds", [False, True])
def test_every_profile_conforms_to_its_version(version: Version, study_uid: StudyUidAs, zds: bool) -> None:
    profile = replace(PROFILE, version=version, study_uid=study_uid, zds=zds)
    for made in (
        alert(), alert(answer=answer(AnswerKind.NEGATIVE, 1.0)), alert(AlertKind.WITHDRAWAL, cause="x"),
        alert(AlertKind.CORRECTION, cause="x"), alert(AlertKind.NOT_ANALYSED, answer=answer(AnswerKind.FAILED)),
    ):
        content = build_oru(made, profile)
        assert faults(content, profile) == ()
        assert STUDY_UID in by_code(read(content), "113014")["value"]
        assert content.decode().endswith(f"ZDS|{STUDY_UID}^VIGIL^Application^DICOM\r") is zds


@pytest.mark.parametrize("version", [Version.V231, Version.V24])
def test_older_versions_write_their_own_way(version: Version) -> None:
    content = build_oru(alert(), replace(PROFILE, version=version))
    message = read(content)
    assert field(message, "MSH", 9) == "ORU^R01"
    assert b"TQ1" not in content
    assert b"CWE" not in content
    assert field(message, "OBR", 27) == "^^^^^S"
    assert all(not any(item["values"][18:]) for item in observations(message))


def test_the_check_against_the_standard_finds_faults() -> None:
    content = build_oru(alert(), PROFILE)
    assert faults(content.replace(b"\rOBR|1|", b"\rOBR|"), PROFILE)
    assert faults(content.replace(b"\rOBX|2|CWE|VG-HDR", b"\rOBX|2|CWE||VG-HDR"), PROFILE)
    assert "PLC1" not in str(faults(content.replace(b"\rOBR|1|", b"\rOBR|"), PROFILE))


def test_the_link_leads_to_the_report_or_is_left_out() -> None:
    message = read(build_oru(alert(), PROFILE))
    link = by_code(message, "55112-7")
    assert link["type"] == "RP"
    assert link["value"].split("^") == [
        f"https://pacs.hosp.example/dicom-web/studies/{STUDY_UID}?report=2.25.99", "ORTHANC", "Application", "DICOM"
    ]
    without = read(build_oru(alert(report_uid=None), PROFILE))
    assert not any(item["code"] == "55112-7" for item in observations(without))
    study_only = replace(PROFILE, link="https://viewer.example/?a=1&study={study_uid}")
    of_study = by_code(read(build_oru(alert(report_uid=None), study_only)), "55112-7")
    assert of_study["value"].startswith("https://viewer.example/?a=1\\T\\study=1.2.840")


def test_codes_of_the_procedure_come_from_order_and_image() -> None:
    ordered = header(ProcedureCodeSequence=Sequence([code("CTHEAD", "L", "CT HEAD")]))
    message = read(build_oru(alert(patient_study=ordered), PROFILE))
    assert field(message, "OBR", 4) == "30799-1^CT Head WO contrast^LN^CTHEAD^CT HEAD^L"
    bare = read(build_oru(alert(patient_study=header(RequestAttributesSequence=None)), PROFILE))
    assert field(bare, "OBR", 4) == "18748-4^Diagnostic imaging study^LN^^CT HEAD WITHOUT CONTRAST^L"
    assert field(bare, "OBR", 2) == ""


def test_a_study_time_without_an_offset_is_of_the_sites_zone() -> None:
    dataset = header(TimezoneOffsetFromUTC=None)
    berlin = replace(PROFILE, zone=ZoneInfo("Europe/Berlin"))
    assert field(read(build_oru(alert(patient_study=dataset), berlin)), "OBR", 7) == "20261122203000+0100"
    assert field(read(build_oru(alert(patient_study=dataset), PROFILE)), "OBR", 7) == "20261122203000"
    west = header(TimezoneOffsetFromUTC="-0330")
    assert field(read(build_oru(alert(patient_study=west), berlin)), "OBR", 7) == "20261122203000-0330"


@pytest.mark.parametrize("broken", ["", "20261332", "yesterday"])
def test_a_date_that_is_none_is_left_out(broken: str) -> None:
    dataset = header()
    dataset.add_new("StudyDate", "LO", broken)
    dataset.add_new("PatientBirthDate", "LO", broken[:7])
    message = read(build_oru(alert(patient_study=dataset), PROFILE))
    assert field(message, "OBR", 7) == ""
    assert field(message, "PID", 7) == ""


def test_several_findings_are_told_and_taken_back_each_in_its_own_group() -> None:
    two = replace(answer(), findings=answer().findings * 2)
    told = [item for item in observations(read(build_oru(alert(answer=two), PROFILE))) if item["type"] == "NM"]
    assert [(item["group"], item["value"]) for item in told] == [("1", "19.9"), ("2", "19.9"), ("3", "19.9")]
    content = build_oru(alert(AlertKind.WITHDRAWAL, answer=two), PROFILE)
    erased = [item for item in observations(read(content)) if item["type"] == "NM"]
    assert [(item["group"], item["value"], item["status"]) for item in erased] == [
        ("1", "", "D"), ("2", "", "D"), ("3", "", "D")
    ]


def test_the_issuer_of_the_image_counts_and_the_profile_stands_in() -> None:
    other = read(build_oru(alert(patient_study=header(IssuerOfPatientID="CLINIC")), PROFILE))
    assert field(other, "PID", 3) == "PAT-1^^^CLINIC^MR"
    none = read(build_oru(alert(patient_study=header(IssuerOfPatientID=None)), PROFILE))
    assert field(none, "PID", 3) == "PAT-1^^^HOSP&2.16.840.1.113883.19.1&ISO^MR"
    qualifier = Dataset()
    qualifier.UniversalEntityID, qualifier.UniversalEntityIDType = "1.2.3", "ISO"
    qualified = header(IssuerOfPatientIDQualifiersSequence=Sequence([qualifier]))
    assert field(read(build_oru(alert(patient_study=qualified), PROFILE)), "PID", 3) == "PAT-1^^^HOSP&1.2.3&ISO^MR"


def test_a_patient_without_id_is_matched_by_the_order_with_a_warning() -> None:
    composed = compose(alert(patient_study=header(PatientID="")), PROFILE)
    assert any("PID-3" in warning for warning in composed.warnings)
    nobody = header(PatientID="", AccessionNumber="", RequestAttributesSequence=None)
    with pytest.raises(MessageInvalid, match="no patient id"):
        compose(alert(patient_study=nobody), PROFILE)


def test_order_numbers_are_never_cut() -> None:
    long = header()
    long.RequestAttributesSequence[0].PlacerOrderNumberImagingServiceRequest = "ORDER-2026-0000000001"
    composed = compose(alert(patient_study=long), PROFILE)
    assert field(read(composed.content), "OBR", 2) == "ORDER-2026-0000000001"
    assert any("issuer" in warning for warning in composed.warnings)
    long.RequestAttributesSequence[0].PlacerOrderNumberImagingServiceRequest = "ORDER-2026-000000000000001"
    composed = compose(alert(patient_study=long), PROFILE)
    assert field(read(composed.content), "OBR", 2) == "ORDER-2026-000000000000001"
    assert any("22 characters" in warning for warning in composed.warnings)
    renamed = compose(alert(), replace(PROFILE, sending_application="VIGIL-OF-THE-NORTH"))
    assert field(read(renamed.content), "OBR", 3) == "V8F3A1C2D4E5F60"
    assert any("OBR-3" in warning for warning in renamed.warnings)


def test_long_equipment_names_are_shortened_with_a_warning() -> None:
    composed = compose(alert(manifest=manifest(id="hyperdense-volume-of-the-head")), PROFILE)
    volume = by_code(read(composed.content), "VG-HDV")
    assert len(volume["values"][18]) <= 22
    assert volume["values"][17].startswith("hyperdense-volume-of-the-head-1.0.0^")
    assert sum("OBX-18" in warning for warning in composed.warnings) == 1
    assert faults(composed.content, PROFILE) == ()


def test_a_latin_1_receiver_gets_latin_1_and_a_warning_for_what_it_lacks() -> None:
    profile = replace(PROFILE, character_set="8859/1")
    composed = compose(alert(patient_study=header(StudyDescription="CT Schädel 頭部")), profile)
    message = read(composed.content, "latin-1")
    assert field(message, "MSH", 18) == "8859/1"
    assert field(message, "PID", 5) == "Müller^Jörg^^^Dr.^^L^A"
    assert any("CT Schädel ??" in text for text in texts(message))
    assert len(composed.warnings) == 2
    assert not any("Müller" in warning for warning in composed.warnings)


def test_a_character_set_whose_bytes_look_like_delimiters_is_refused() -> None:
    with pytest.raises(DestinationInvalid, match="table 0211"):
        Hl7Profile(character_set="GB 18030-2000")
    with pytest.raises(DestinationInvalid, match="result_status"):
        Hl7Profile(result_status="F")
    with pytest.raises(DestinationInvalid, match="processing_id"):
        Hl7Profile(processing_id="X")


def test_an_alert_whose_kind_and_answer_disagree_is_refused() -> None:
    with pytest.raises(ValueError, match="not-analysed"):
        alert(AlertKind.NOT_ANALYSED)
    with pytest.raises(ValueError, match="no result"):
        alert(answer=answer(AnswerKind.FAILED))
    with pytest.raises(ValueError, match="time zone"):
        alert(created_at=SENT_AT.replace(tzinfo=None))


NAME_PART = st.text(st.characters(exclude_characters="^=\\", exclude_categories=()), max_size=20)
DESCRIPTION = st.text(st.characters(exclude_characters="\\", exclude_categories=()), max_size=64)


def test_a_description_with_a_backslash_which_dicom_takes_for_two_values_is_shown_whole() -> None:
    message = read(build_oru(alert(patient_study=header(StudyDescription="HEAD\\NECK")), PROFILE))
    assert any("HEAD\\NECK" in text for text in texts(message))


@settings(max_examples=150, deadline=dt.timedelta(seconds=2))
@given(family=NAME_PART, given_name=NAME_PART, description=DESCRIPTION)
def test_any_name_and_description_are_read_back(family: str, given_name: str, description: str) -> None:
    dataset = header()
    dataset.PatientName = f"{family}^{given_name}"
    dataset.StudyDescription = description
    content = build_oru(alert(patient_study=dataset), PROFILE)
    message = read(content)
    names = [str(segment(0)) for segment in message]
    assert names.count("PID") == names.count("OBR") == 1
    assert set(names) == {"MSH", "PID", "PV1", "ORC", "OBR", "TQ1", "OBX", "NTE", ""} - ({""} - set(names))
    parts = [message.unescape(part) for part in field(message, "PID", 5).split("^")]
    if one_line(family) or one_line(given_name):
        assert parts[:2] == [one_line(family), one_line(given_name)]
    else:
        assert parts[6] == "U"
    shown = " ".join(texts(message))
    assert "".join(one_line(description).split()) in "".join(readable(shown).split())


def test_a_measurement_is_coded_as_one_and_is_neither_present_nor_abnormal() -> None:
    message = build_oru(alert(answer=answer(AnswerKind.MEASURED, 12.5)), PROFILE).decode()
    assert "VG-MEAS^Measured^99VIGIL" in message
    assert "AI measurement, unread: " in message
    coded = [line.split("|") for line in message.split("\r") if line.startswith("OBX") and "VG-MEAS" in line]
    assert [line[8] for line in coded] == [""]
    assert "52101004" not in message
    assert "|12.5|" in message
