"""The key images: those of the findings, nothing that is not there, and none where nothing was found."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset
from result_cases import CASES
from result_files import read

from validators.dicom3tools import dciodvfy
from validators.pixelmed import validate_reports
from vigil.results.key_slices import located
from vigil.results.make import make_results
from vigil.results.objects import Role
from vigil.results.options import Captures


def references(ds: Dataset) -> list[str]:
    items = [item for item in ds.ContentSequence if item.ValueType == "IMAGE"]
    return [str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items]


def evidence(ds: Dataset) -> set[str]:
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    return {
        str(item.ReferencedSOPInstanceUID) for series in study.ReferencedSeriesSequence for item in series.ReferencedSOPSequence
    }


@pytest.mark.parametrize("captures", list(Captures))
def test_it_names_the_key_slices_and_of_the_captures_only_those_that_are_made(captures: Captures) -> None:
    asked = CASES["two findings"]().asked
    (ds,) = read(asked, Role.KEY_OBJECTS, captures=captures)
    keys = [str(asked.sources[item.key_slice].SOPInstanceUID) for item in located(asked) if item.key_slice is not None]
    assert len(set(keys)) == 2
    assert set(keys) <= set(references(ds))
    own = {str(made.SOPInstanceUID) for role in (Role.SUMMARY, Role.KEY_SLICE) for made in read(asked, role, captures=captures)}
    assert set(references(ds)) - set(keys) <= own
    assert len(references(ds)) == (3 if captures is Captures.NONE else 5)
    assert evidence(ds) == set(references(ds))


def test_a_frame_is_named_by_its_number() -> None:
    asked = CASES["multi-frame"]().asked
    (ds,) = read(asked, Role.KEY_OBJECTS)
    (item,) = [item for item in ds.ContentSequence if item.ValueType == "IMAGE" and references(ds)[-1] ==
               item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID]  # fmt: skip
    key = located(asked)[0].key_slice
    assert key is not None
    assert item.ReferencedSOPSequence[0].ReferencedFrameNumber == asked.frames[key]


def test_it_says_of_interest_and_by_which_device_and_that_it_is_advice() -> None:
    asked = CASES["positive"]().asked
    (ds,) = read(asked, Role.KEY_OBJECTS)
    assert (ds.Modality, ds.ConceptNameCodeSequence[0].CodeValue) == ("KO", "113000")
    said = {item.ConceptNameCodeSequence[0].CodeValue: item for item in ds.ContentSequence if "ConceptNameCodeSequence" in item}
    assert said["121005"].ConceptCodeSequence[0].CodeValue == "121007"
    assert asked.device.device_uid == said["121012"].UID
    assert "NOT FOR PRIMARY DIAGNOSIS" in said["113012"].TextValue
    assert "RESEARCH" in said["113012"].TextValue


@pytest.mark.parametrize("name", ["negative", "indeterminate", "measured", "not-analysed", "failed", "triage only"])
def test_nothing_is_of_interest_where_nothing_was_found_or_may_be_located(name: str) -> None:
    assert not read(CASES[name]().asked, Role.KEY_OBJECTS)


def test_validators_find_no_error_and_the_fault_in_a_broken_one(tmp_path: Path) -> None:
    paths = []
    for name in ("two findings", "multi-frame", "mammogram"):
        paths.append(tmp_path / f"{name}.dcm")
        (made,) = [made for made in make_results(CASES[name]().asked) if made.role is Role.KEY_OBJECTS]
        paths[-1].write_bytes(made.dicom)
        assert dciodvfy(paths[-1]).clean
    (ds,) = read(CASES["positive"]().asked, Role.KEY_OBJECTS)
    image = next(item for item in ds.ContentSequence if item.ValueType == "IMAGE")
    image.ConceptNameCodeSequence = ds.ConceptNameCodeSequence
    broken = tmp_path / "broken.dcm"
    ds.save_as(broken)
    assert dciodvfy(broken).clean, "or PixelMed is not needed for it"
    verdicts = validate_reports([*paths, broken])
    assert not {path.name: verdicts[path].output for path in paths if not verdicts[path].clean}
    assert verdicts[broken].errors
