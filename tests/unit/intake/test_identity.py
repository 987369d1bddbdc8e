from __future__ import annotations

import warnings

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from vigil.intake.attributes import Attributes
from vigil.intake.identity import age_by_birth_date_years, age_years, differ, identity_parts, identity_sha256


def attributes(**values):
    """As read from a file: raw."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = Dataset()
        ds.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        write_dataset(stream, ds)
    stream.seek(0)
    return Attributes(read_dataset(stream, False, True))


PATIENT = {"PatientName": "Müller^Jörg", "PatientID": "7", "PatientBirthDate": "19610203", "PatientSex": "M"}


@pytest.mark.parametrize(
    "name",
    ["Müller^Jörg", "MUELLER^JOERG", "Muller^Jorg", "müller^jörg^^Dr", "Müller  Jörg", "Müller^Jörg^^^", "Müller^Jörg=漢字"],
)
def test_one_patient_is_one_however_the_system_writes_the_name(name):
    one, other = attributes(**PATIENT), attributes(**(PATIENT | {"PatientName": name}))
    assert not differ(identity_parts(one), identity_parts(other))
    assert identity_sha256(one) == identity_sha256(other)


@pytest.mark.parametrize(
    "change",
    [
        {"PatientName": "Meier^Jörg"}, {"PatientName": "Müller^Jürgen"}, {"PatientBirthDate": "19610204"},
        {"PatientSex": "F"},
    ],
)
def test_another_name_birth_date_or_sex_is_another_patient(change):
    one, other = attributes(**PATIENT), attributes(**(PATIENT | change))
    assert differ(identity_parts(one), identity_parts(other))
    assert identity_sha256(one) != identity_sha256(other)


@pytest.mark.parametrize("left_out", ["PatientName", "PatientBirthDate", "PatientSex"])
def test_what_a_header_leaves_out_contradicts_nothing(left_out):
    one, other = attributes(**PATIENT), attributes(**{key: value for key, value in PATIENT.items() if key != left_out})
    assert not differ(identity_parts(one), identity_parts(other))


def test_another_issuer_of_the_patient_id_is_another_patient():
    one, other = (attributes(**PATIENT, IssuerOfPatientID=issuer) for issuer in ("NORTH", "SOUTH"))
    assert differ(identity_parts(one), identity_parts(other))


def test_a_sex_cannot_be_told_from_its_hash_without_the_patient_id():
    assert identity_parts(attributes(**PATIENT))[2] != identity_parts(attributes(**(PATIENT | {"PatientID": "8"})))[2]


@pytest.mark.parametrize(
    ("text", "years"),
    [("056Y", 56), ("006M", 0.5), ("026W", 182 / 365.25), ("010D", 10 / 365.25), ("56Y", 56), ("", None), ("056", None),
     ("YYYY", None), ("-01Y", None)],
)
def test_an_age_is_in_years_whatever_its_unit(text, years):
    age = age_years(attributes(PatientAge=text))
    assert age is None if years is None else age == pytest.approx(years)


@pytest.mark.parametrize(
    ("born", "studied", "years"),
    [
        ("20081124", "20261123", 17), ("20081123", "20261123", 18), ("20200229", "20260228", 5), ("1961.02.03", "20261123", 65),
        ("20261124", "20261123", None), ("18000101", "20261123", None), ("", "20261123", None), ("19610203", "", None),
        ("19611303", "20261123", None),
    ],
)
def test_an_age_by_birth_date_changes_on_the_birthday(born, studied, years):
    assert age_by_birth_date_years(attributes(PatientBirthDate=born), studied) == years
