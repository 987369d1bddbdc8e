"""The fast way to write a report writes what pydicom writes."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from result_cases import CASES
from written_cases import ordered

from vigil.results import structured_report as structured
from vigil.results import text_report as text
from vigil.results.patient_study import mark_encoded
from vigil.results.report_encoding import encode_sequences
from vigil.results.structured_report import structured_report
from vigil.results.text_report import text_report

CHOSEN = {name: CASES[name] for name in ("japanese 256", "two findings", "not-analysed")} | {"ordered latin-1": ordered}


@pytest.mark.parametrize("name", CHOSEN)
def test_every_byte_is_the_one_that_pydicom_writes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CHOSEN[name]()
    fast = [structured_report(case.asked).dicom, text_report(case.asked).dicom]
    for module in (structured, text):
        monkeypatch.setattr(module, "encode_sequences", _leave)
    assert [structured_report(case.asked).dicom, text_report(case.asked).dicom] == fast


def test_words_of_the_order_keep_their_characters() -> None:
    case = ordered()
    ds = dcmread(BytesIO(structured_report(case.asked).dicom))
    assert ds.ReferencedRequestSequence[0].RequestedProcedureDescription == "CT Schädel"


def test_codes_that_differ_in_scheme_meaning_or_characters_are_told_apart() -> None:
    """Against pydicom, which is given the same data set."""
    codes = [("1", "SCT", "One"), ("1", "DCM", "One"), ("1", "SCT", "Größe"), ("1", "SCT", "One")]
    assert _written(codes, fast=True) == _written(codes, fast=False)


def _written(codes: list[tuple[str, str, str]], *, fast: bool) -> bytes:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ContentSequence = []
    for value, scheme, meaning in codes:
        code, item = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
        item.ConceptNameCodeSequence, item.TextValue = [code], meaning
        ds.ContentSequence.append(item)
    if fast:
        encode_sequences(ds)
        mark_encoded(ds)
    buffer = BytesIO()
    dcmwrite(buffer, ds, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def _leave(document: Dataset) -> None:
    """As if there were no fast way."""


