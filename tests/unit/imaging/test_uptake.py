"""Standardised uptake: held to values worked out by hand, and refused where the header leaves a guess."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, PositronEmissionTomographyImageStorage

from vigil.imaging.errors import UptakeUnknown
from vigil.imaging.uptake import standardised_uptake, uptake_factor
from vigil.imaging.volume import Volume

F18_S = 6586.2


def header(syntax: str = ExplicitVRLittleEndian, *, item: dict[str, Any] | None = None, **changes: Any) -> Dataset:
    """370 MBq of F-18 into 74 kg, one half-life before the scan. A None takes an attribute out. As it is read from a file."""
    ds, given_ = Dataset(), Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = PositronEmissionTomographyImageStorage, "1.2.3"
    ds.Modality, ds.Units, ds.DecayCorrection, ds.PatientWeight = "PT", "BQML", "START", "74"
    ds.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    ds.RescaleIntercept, ds.RescaleSlope = "0", "2"
    ds.SeriesDate = ds.AcquisitionDate = "20261126"
    ds.SeriesTime, ds.AcquisitionTime = "120000", "120000.00"
    given_.RadionuclideTotalDose, given_.RadionuclideHalfLife = "370000000", str(F18_S)
    given_.RadiopharmaceuticalStartTime = "101013.80"
    for target, values in ((given_, item or {}), (ds, changes)):
        for keyword, value in values.items():
            if value is None:
                delattr(target, keyword)
            else:
                setattr(target, keyword, value)
    ds.RadiopharmaceuticalInformationSequence = [given_]
    return written(ds, syntax)


def written(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return dcmread(BytesIO(buffer.getvalue()), defer_size=None)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_dose_that_decayed_to_a_half_counts_by_half(syntax: str) -> None:
    assert uptake_factor(header(syntax)) == pytest.approx(74_000 / 185e6, rel=1e-4)


def test_corrected_to_the_injection_nothing_has_decayed() -> None:
    assert uptake_factor(header(DecayCorrection="ADMIN")) == pytest.approx(74_000 / 370e6)


def test_the_exact_moment_of_the_injection_counts_before_the_time_of_day() -> None:
    exact = header(item={"RadiopharmaceuticalStartDateTime": "20261126120000", "RadiopharmaceuticalStartTime": "115930"})
    assert uptake_factor(exact) == pytest.approx(74_000 / 370e6)


def test_with_a_date_a_long_half_life_is_understood() -> None:
    zirconium = header(item={"RadiopharmaceuticalStartDateTime": "20261126110000", "RadiopharmaceuticalStartTime": None,
                             "RadionuclideHalfLife": "282240"})
    assert uptake_factor(zirconium) == pytest.approx(74_000 / (370e6 * 2 ** (-3600 / 282240)))


def test_an_injection_before_midnight_was_the_day_before() -> None:
    late = header(SeriesTime="003000", AcquisitionTime="003000", item={"RadiopharmaceuticalStartTime": "233000"})
    assert uptake_factor(late) == pytest.approx(74_000 / (370e6 * 2 ** (-3600 / F18_S)))


def test_values_that_are_uptake_already_stay() -> None:
    assert uptake_factor(header(Units="GML")) == 1.0
    with pytest.raises(UptakeUnknown, match="SUV by 'LBM'"):
        uptake_factor(header(Units="GML", SUVType="LBM"))


def philips(factor: str, activity: str, block: int = 0x10, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    ds = header(Units="CNTS")
    ds.add_new((0x7053, block), "LO", "Philips PET Private Group")
    ds.add_new((0x7053, block << 8), "DS", factor)
    ds.add_new((0x7053, block << 8 | 9), "DS", activity)
    return written(ds, syntax)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("block", [0x10, 0x21])
def test_counts_become_uptake_by_what_philips_writes_beside_them(block: int, syntax: str) -> None:
    assert uptake_factor(philips("0.000551", "1.6", block, syntax)) == pytest.approx(0.000551)
    assert uptake_factor(philips("0.0", "1.6", block, syntax)) == pytest.approx(1.6 * 74_000 / 185e6, rel=1e-4)
    with pytest.raises(UptakeUnknown, match="they are counts"):
        uptake_factor(philips("0.0", "0.0", block, syntax))


def test_a_series_that_was_made_later_counts_from_the_scan_where_ge_wrote_it_down() -> None:
    later = header(SeriesTime="150000")
    with pytest.raises(UptakeUnknown, match="made after the images were acquired"):
        uptake_factor(later)
    later.add_new((0x0009, 0x0010), "LO", "GEMS_PETD_01")
    later.add_new((0x0009, 0x100D), "DT", "20261126120000.00")
    assert uptake_factor(written(later)) == pytest.approx(74_000 / 185e6, rel=1e-4)


@pytest.mark.parametrize(("changes", "said"), [
    ({"Units": None}, "their unit is 'not said'"), ({"Units": "PROPCPS"}, "their unit is 'PROPCPS'"),
    ({"CorrectedImage": ["DECY"]}, "not corrected for attenuation"), ({"CorrectedImage": None}, "attenuation and decay"),
    ({"DecayCorrection": "NONE"}, "corrected for decay to 'NONE'"), ({"DecayCorrection": None}, "no moment that is said"),
    ({"PatientWeight": None}, "weight is not said"), ({"PatientWeight": "0"}, "weight cannot be 0 kg"),
    ({"PatientWeight": "74000"}, "weight cannot be 74000 kg"), ({"SeriesTime": None}, "when the series began"),
    ({"item": {"RadionuclideTotalDose": None}}, "dose is not said"),
    ({"item": {"RadionuclideTotalDose": "370"}}, "dose cannot be 370 Bq"),
    ({"item": {"RadionuclideHalfLife": None}}, "half-life is not said"),
    ({"item": {"RadiopharmaceuticalStartTime": None}}, "when the dose was injected"),
    ({"item": {"RadiopharmaceuticalStartDateTime": "20261120120000"}}, "not within the day before"),
    ({"item": {"RadiopharmaceuticalStartDateTime": "20261126130000"}}, "not within the day before"),
    ({"item": {"RadiopharmaceuticalStartTime": "120500"}}, "by its time of day the injection was after the scan"),
    ({"item": {"RadiopharmaceuticalStartTime": "233000"}}, "more than twelve hours before"),
    ({"item": {"RadionuclideHalfLife": "282240"}}, "on which day"),
    ({"item": {"RadionuclideHalfLife": "600"}}, "more than 10 half-lives"),
    ({"item": {"RadiopharmaceuticalStartDateTime": "20261126093000"}}, "two different times of the injection"),
    ({"item": {"RadiopharmaceuticalStartDateTime": "20261126101013+0100"}, "TimezoneOffsetFromUTC": "+0000"},
     "another time zone"),
    ({"AcquisitionTime": None}, "when the images were acquired"), ({"RescaleSlope": None}, "no Rescale Slope"),
    ({"RescaleIntercept": "-3"}, "has a Rescale Intercept"),
])  # fmt: skip
def test_what_is_not_known_is_refused_and_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UptakeUnknown, match=said):
        uptake_factor(header(**changes))


@pytest.mark.parametrize("count", [0, 2])
def test_one_radiopharmaceutical_is_needed(count: int) -> None:
    ds = header()
    ds.RadiopharmaceuticalInformationSequence = [ds.RadiopharmaceuticalInformationSequence[0]] * count
    with pytest.raises(UptakeUnknown, match=f"names {count} radiopharmaceuticals"):
        uptake_factor(written(ds))


@given(
    weight=st.floats(1, 300), dose=st.floats(1e6, 1e10), half_life=st.floats(3600, 21_600), waited=st.integers(0, 36_000),
)
def test_a_patient_of_one_concentration_has_an_uptake_of_one(weight: float, dose: float, half_life: float, waited: int) -> None:
    """What is left of the dose, spread evenly over the body, is an SUV of 1 by its definition."""
    hours, minutes = divmod(waited // 60, 60)
    ds = header(
        PatientWeight=f"{weight:.4f}", SeriesTime=f"{12 + hours:02}{minutes:02}{waited % 60:02}", AcquisitionTime="235959",
        item={"RadionuclideTotalDose": f"{dose:.1f}", "RadionuclideHalfLife": f"{half_life:.2f}",
              "RadiopharmaceuticalStartTime": "120000"})
    concentration = round(dose, 1) * 2 ** (-waited / round(half_life, 2)) / (round(weight, 4) * 1000)
    assert concentration * uptake_factor(ds) == pytest.approx(1.0, rel=1e-6)


def test_what_is_shown_stays_as_it_came() -> None:
    volume = Volume(np.full((2, 3, 3), 2500.0, np.float32), np.eye(4))
    uptake = standardised_uptake(volume, [header(), header()])
    np.testing.assert_allclose(uptake.voxels, np.full((2, 3, 3), 2500 * 74_000 / 185e6), rtol=1e-4)
    assert volume.voxels.max() == 2500.0


@pytest.mark.parametrize("other", [
    {"PatientWeight": "37"}, {"Units": "GML"}, {"DecayCorrection": "ADMIN"}, {"item": {"RadionuclideTotalDose": "380000000"}},
    {"item": {"RadiopharmaceuticalStartTime": "101113"}}, {"item": {"RadionuclideHalfLife": "6700"}},
])
def test_images_of_one_scan_that_contradict_each_other_are_refused(other: dict[str, Any]) -> None:
    volume = Volume(np.full((2, 3, 3), 2500.0, np.float32), np.eye(4))
    with pytest.raises(UptakeUnknown, match="contradict each other"):
        standardised_uptake(volume, [header(), header(**other)])
