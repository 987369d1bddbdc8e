"""What makes a study STAT: its request, where the patient is, the site's own words, and who sent it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.priority import Stat, stat_by
from vigil.settings.priority import PrioritySettings

PLAIN = Acquisition("priority", spacing_mm=(2.0, 1.0, 1.0))
RULES = PrioritySettings(stat_descriptions=("polytrauma",), stat_senders=("CT-ER",))


def header(write: Callable[[Dataset], object] = lambda ds: None) -> ImageHeader:
    image = next(ct_series(np.zeros((1, 8, 8)), PLAIN))
    write(image)
    return read_header("image", dicom_bytes(image))


def judged(write: Callable[[Dataset], object] = lambda ds: None, *, rules: PrioritySettings = RULES,
           sender: str = "CT1") -> Stat | None:
    return stat_by(header(write), rules, lambda: sender)


def requested(priority: str) -> Callable[[Dataset], object]:
    def write(ds: Dataset) -> None:
        item = Dataset()
        item.RequestedProcedurePriority = priority
        ds.RequestAttributesSequence = [item]
    return write


@pytest.mark.parametrize("priority", ["STAT", "HIGH", "stat "])
def test_a_request_of_high_priority_is_stat_wherever_the_scanner_writes_it(priority: str) -> None:
    assert judged(requested(priority)) is Stat.REQUEST
    assert judged(lambda ds: setattr(ds, "RequestedProcedurePriority", priority)) is Stat.REQUEST


def test_the_retired_attribute_of_older_scanners_counts_too() -> None:
    assert judged(lambda ds: ds.add_new(0x0032000C, "CS", "HIGH")) is Stat.REQUEST


@pytest.mark.parametrize("priority", ["ROUTINE", "MEDIUM", "LOW", ""])
def test_any_other_priority_of_a_request_is_not(priority: str) -> None:
    assert judged(requested(priority)) is None


@pytest.mark.parametrize("keyword", ["CurrentPatientLocation", "InstitutionalDepartmentName", "RequestingService"])
def test_a_location_tells_by_a_whole_word_of_the_sites_list(keyword: str) -> None:
    assert judged(lambda ds: setattr(ds, keyword, "EMERGENCY Dept. 2")) is Stat.LOCATION
    assert judged(lambda ds: setattr(ds, keyword, "Traumatology outpatients")) is None
    assert judged(lambda ds: setattr(ds, keyword, "Emergency"), rules=PrioritySettings(stat_locations=())) is None


def test_a_description_and_a_sender_tell_where_the_site_says_so() -> None:
    assert judged(lambda ds: setattr(ds, "StudyDescription", "CT polytrauma")) is Stat.DESCRIPTION
    assert judged(sender="CT-ER") is Stat.SENDER
    assert judged() is None


def test_nobody_is_asked_for_the_sender_where_no_rule_names_one() -> None:
    def asked() -> str:
        raise AssertionError("Orthanc was asked")
    assert stat_by(header(), PrioritySettings(), asked) is None
