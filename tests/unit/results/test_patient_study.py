"""Who the patient is, carried over to the byte."""

from __future__ import annotations

import copy
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from result_cases import JAPANESE, LATIN, UTF8, request, study

from hospital.ct_series import dicom_bytes
from vigil.results.make import make_results
from vigil.results.patient_study import COPIED, ascii_text, encodable


def raw(ds: Dataset, keyword: str) -> bytes | None:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    if tag not in ds:
        return None
    element: object = ds.get_item(tag)
    if isinstance(element, RawDataElement):
        return element.value or b""
    return str(ds[tag].value).encode()  # the character set is decoded as soon as a file is read


def results_of(files: list[Dataset], hu: object) -> list[Dataset]:
    return [dcmread(BytesIO(made.dicom)) for made in make_results(request(files=files, hu=hu))]


@pytest.mark.parametrize("patient", [UTF8, LATIN, JAPANESE], ids=["UTF-8", "Latin-1", "Japanese"])
def test_every_attribute_of_patient_and_study_is_copied_to_the_byte(patient: object) -> None:
    files, hu = study(patient=patient, slices=8)
    source = dcmread(BytesIO(dicom_bytes(files[0])))
    for result in results_of(files, hu):
        for keyword in COPIED:
            if keyword in source and not keyword.endswith("Sequence"):
                assert raw(result, keyword) == raw(dcmread(BytesIO(dicom_bytes(files[0]))), keyword), keyword


def _written(ds: Dataset, syntax: str) -> Dataset:
    again = copy.deepcopy(ds)
    del again.PixelData
    again.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    dcmwrite(buffer, again)
    buffer.seek(0)
    return dcmread(buffer)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=["implicit", "big endian"])
def test_the_encoding_of_the_source_does_not_matter(syntax: str) -> None:
    files, hu = study(patient=LATIN, slices=8)
    for ds in files:
        ds.PregnancyStatus = 4
        item = Dataset()
        item.RequestedProcedureDescription = "Schädel"
        ds.RequestAttributesSequence = [item]
    asked = request(files=files, hu=hu)
    other = type(asked)(**{**vars(asked), "reference": _written(files[0], syntax)})
    ours = [made.dicom for made in make_results(asked)]
    assert [made.dicom for made in make_results(other)] == ours
    assert dcmread(BytesIO(ours[0])).RequestAttributesSequence[0].RequestedProcedureDescription == "Schädel"
    assert dcmread(BytesIO(ours[0])).PregnancyStatus == 4


def test_a_name_that_its_own_character_set_cannot_hold_is_carried_over_as_it_is() -> None:
    files, hu = study(slices=8)
    broken = dicom_bytes(files[0]).replace("Łukasiewicz".encode(), b"\xffukasiewicz\xfe")
    asked = request(files=files, hu=hu)
    reference = dcmread(BytesIO(broken), stop_before_pixels=True)
    for made in make_results(type(asked)(**{**vars(asked), "reference": reference})):
        assert b"\xffukasiewicz\xfe" in made.dicom


def test_dates_of_the_study_keep_their_meaning_with_a_zone_of_their_own() -> None:
    files, hu = study(slices=8)
    for ds in files:
        ds.TimezoneOffsetFromUTC = "+0900"
    for result in results_of(files, hu):
        assert result.TimezoneOffsetFromUTC == "+0900"
        assert (result.StudyDate, result.StudyTime) == ("20250314", "093000")
        assert (result.SeriesDate, result.SeriesTime) == ("20250314", "184107")


def test_no_zone_is_declared_where_the_source_declares_none() -> None:
    files, hu = study(slices=8)
    for ds in files:
        del ds.TimezoneOffsetFromUTC
    for result in results_of(files, hu):
        assert "TimezoneOffsetFromUTC" not in result
        assert result.ContributingEquipmentSequence[0].ContributionDateTime == "20250314094107+0000"


def test_our_own_words_fit_the_character_set_of_the_source() -> None:
    ds = Dataset()
    assert encodable("Läsion ≥ 5 µL", ds) == "Lasion >= 5 uL"
    ds.SpecificCharacterSet = "ISO_IR 100"
    assert encodable("Läsion 5 µL", ds) == "Läsion 5 µL"
    assert encodable("≥ 5", ds) == ">= 5"
    ds.SpecificCharacterSet = "ISO_IR 192"
    assert encodable("Läsion ≥ 5 µL", ds) == "Läsion ≥ 5 µL"
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    assert encodable("Läsion", ds) == "Lasion"


@given(st.text())
def test_ascii_text_is_ascii(text: str) -> None:
    assert ascii_text(text).isascii()
