"""The product's way and the straightforward one do the same work, and a case is measured from one end to the other."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from benchmark import straightforward
from benchmark.case import CASES, Effort
from benchmark.cases.memory import measured
from benchmark.findings import Report
from benchmark.network import NetworkDoor
from benchmark.ours import NOT_COMPARED, POSTPROCESS, Answered, NotAnswered, Product
from benchmark.report import markdown
from benchmark.stopwatch import Laps
from benchmark.straightforward import Task
from benchmark.studies import Study
from hospital.ct_series import dicom_bytes
from hospital.hospital import MODEL
from hospital.outcome import SEGMENTATION
from hospital.patients import head_study
from vigil.domain.answer import AnswerKind
from vigil.results.objects import Role


def small_study() -> Study:
    images = head_study("benchmark")
    files = tuple(dicom_bytes(image) for image in images)
    return Study("A small head", MODEL, files, str(images[0].StudyInstanceUID), (len(images), 128, 128))


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    return Product(MODEL, tmp_path_factory.mktemp("product"))


@pytest.fixture(scope="module")
def answered(product: Product) -> Answered:
    return product.run(small_study(), Laps())


def test_the_product_answers_as_in_orthanc(answered: Answered) -> None:
    assert answered.answer.kind is AnswerKind.POSITIVE
    assert answered.answer.measured is not None
    assert answered.answer.measured.value == pytest.approx(20, abs=2)
    roles = [item.role for item in answered.objects]
    assert roles[0] == Role.SUMMARY
    assert roles[-2:] == [Role.SEGMENTATION, Role.REPORT]


def test_the_straightforward_chain_makes_as_many_objects_of_the_same_kinds_with_the_same_mask(answered: Answered) -> None:
    made = [dcmread(BytesIO(dicom)) for dicom in straightforward.run(Task.of(small_study(), answered), Laps())]
    ours = [dcmread(BytesIO(item.dicom)) for item in answered.objects]
    assert [image.SOPClassUID for image in made] == [image.SOPClassUID for image in ours]
    for one, other in zip(made, ours, strict=True):
        assert (one.get("Rows"), one.get("Columns")) == (other.get("Rows"), other.get("Columns"))
    segmentations = [image for image in (*made, *ours) if image.SOPClassUID == SEGMENTATION]
    voxels = {int(np.count_nonzero(image.pixel_array)) for image in segmentations}
    assert len(voxels) == 1
    assert voxels != {0}


def test_the_network_runs_once_and_its_time_is_in_no_stage(product: Product) -> None:
    product.door.forget()
    laps = [Laps(), Laps()]
    first, second = (product.run(small_study(), each) for each in laps)
    assert product.door.ran.cpu_s > 0
    once = product.door.ran
    product.run(small_study(), Laps())
    assert product.door.ran == once
    assert first.answer == second.answer
    assert {POSTPROCESS} == NOT_COMPARED & laps[1].spent.keys()
    assert laps[1].total(NOT_COMPARED).cpu_s == pytest.approx(
        sum(spent.cpu_s for name, spent in laps[1].spent.items() if name != POSTPROCESS)
    )


def test_the_door_is_closed_again_also_after_a_fault() -> None:
    from vigil.inference.session import NetworkSession

    real = NetworkSession.run
    with pytest.raises(RuntimeError), NetworkDoor().open():
        assert NetworkSession.run is not real
        raise RuntimeError
    assert NetworkSession.run is real


def test_a_study_that_the_model_does_not_want_is_no_figure(product: Product) -> None:
    with pytest.raises(NotAnswered, match="did not want"):
        product.run(replace(small_study(), files=small_study().files[:5]), Laps())


def test_a_case_goes_from_one_end_to_the_other(tmp_path: Path) -> None:
    found = measured(CASES[0], Effort(2, tmp_path), small_study)
    names = [figure.what for figure in found.figures]
    assert "straightforward / Vigil, CPU" in names
    assert all(figure.estimate.value > 0 and figure.estimate.count == 2 for figure in found.figures)
    assert "| structured report |" in markdown(Report({}, (found,)))
