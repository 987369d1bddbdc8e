"""Any Unicode in any DICOM attribute that reaches the message is read back equal by a parser that is not ours."""

from __future__ import annotations

import datetime as dt
from typing import Any

import hl7
import pytest
from delivery_cases import PROFILE, alert, code, header
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, config
from pydicom.sequence import Sequence

from vigil.delivery.hl7.escape import one_line, readable
from vigil.delivery.hl7.message import write

ANY = st.text(st.characters(exclude_categories=()), max_size=16)
"""Short, as the attributes are (SH): no limit of HL7 is reached, and every delimiter, control and half of a pair is met."""
NAME = st.lists(st.text(st.characters(exclude_characters="^=\\", exclude_categories=()), max_size=8), min_size=5, max_size=5)
TEXTS = ("PatientID", "IssuerOfPatientID", "AccessionNumber", "AdmissionID", "CurrentPatientLocation", "StudyDescription")


def fields(message: hl7.Message, segment: str, number: int) -> list[list[str]]:
    """The repetitions of a field, each as its components, unescaped by the parser."""
    found = message.segment(segment)
    raw = str(found(number)) if len(found) > number else ""
    assert "&" not in raw, "a part of a part, where nothing has any"
    return [[message.unescape(part) for part in repetition.split("^")] for repetition in raw.split("~")]


def swapped(parts: list[str]) -> list[str]:
    """PN is family, given, middle, prefix, suffix; XPN has the last two the other way round."""
    family, given_name, middle, prefix, suffix = (one_line(part) for part in parts)
    return [family, given_name, middle, suffix, prefix]


@pytest.fixture(scope="module", autouse=True)
def without_pydicom_s_own_opinion() -> Any:
    before, config.settings.writing_validation_mode = config.settings.writing_validation_mode, config.IGNORE
    yield
    config.settings.writing_validation_mode = before


@settings(max_examples=80, deadline=dt.timedelta(seconds=5), phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    texts=st.fixed_dictionaries(dict.fromkeys(TEXTS, ANY)), names=st.lists(NAME, min_size=3, max_size=3), referrer=NAME,
    placer=ANY, procedure=st.tuples(ANY, ANY, ANY),
)
def test_every_attribute_is_read_back_as_it_was(
    texts: dict[str, str], names: list[list[str]], referrer: list[str], placer: str, procedure: tuple[str, str, str]
) -> None:
    wanted = {keyword: one_line(text) for keyword, text in texts.items()}
    assume(wanted["PatientID"] or wanted["AccessionNumber"])
    dataset = header(**texts)
    dataset.PatientName = "=".join("^".join(group) for group in names)
    dataset.ReferringPhysicianName = "^".join(referrer)
    request = Dataset()
    request.PlacerOrderNumberImagingServiceRequest = placer
    request.RequestedProcedureCodeSequence = Sequence([code(*procedure)])
    dataset.RequestAttributesSequence = Sequence([request])
    content = write(alert(patient_study=dataset), PROFILE).content
    message = hl7.parse(content.decode())

    assert not set(content) & (set(range(0x20)) - {0x0D} | {0x7F})
    assert [str(segment(0)) for segment in message][:5] == ["MSH", "PID", "PV1", "ORC", "OBR"]
    if wanted["PatientID"]:
        identifier = str(message.segment("PID")(3)).split("^")
        assert message.unescape(identifier[0]) == wanted["PatientID"]
        authority = message.unescape(identifier[3].split("&")[0])
        assert authority == (wanted["IssuerOfPatientID"] or "HOSP")
    assert fields(message, "PV1", 19)[0][0] == wanted["AdmissionID"]
    assert fields(message, "PV1", 3)[0][0] == wanted["CurrentPatientLocation"]
    assert fields(message, "OBR", 18)[0][0] == wanted["AccessionNumber"]
    assert fields(message, "OBR", 2)[0][0] == fields(message, "ORC", 2)[0][0] == one_line(placer)
    shown = "".join(message.unescape(str(segment(5))) for segment in message.segments("OBX") if str(segment(2)) == "TX")
    assert "".join(wanted["StudyDescription"].split()) in "".join(readable(shown).split())

    told = [swapped(group) for group in names]
    kept = [(parts, kind) for parts, kind in zip(told, "AIP", strict=True) if any(parts)]
    assert fields(message, "PID", 5) == ([[*parts, "", "L", kind] for parts, kind in kept] or [["", "", "", "", "", "", "U"]])
    doctor = swapped(referrer)
    assert (fields(message, "PV1", 8)[0] + [""] * 6)[:6] == (["", *doctor] if any(doctor) else [""] * 6)
    value, scheme, meaning = (one_line(part) for part in procedure)
    if value:
        assert (fields(message, "OBR", 4)[0] + ["", ""])[:3] == [value, meaning, scheme or "L"]
