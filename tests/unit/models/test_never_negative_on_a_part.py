"""Law 2 with the shipped model: a head whose lesion lies in the images that come last, stopped after every one of them.

What is decided of the headers (:func:`appraise`) and what the model sees in the pixels hold together: where no number was
declared, a part that is long enough passes the first and is stopped by the second, for the scan ends inside the head.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from hyperdense_cases import Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.phantom import Head, phantom
from vigil.domain.answer import AnswerKind
from vigil.imaging.load import load_volume
from vigil.intake.appraise import Appraisal, Verdict, appraise
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.study import StudyContent

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SLICES = 40
TOP, BOTTOM = 50.0, -50.0
"""Where the lesion lies, in mm above the middle: under the vertex, above the base."""
LESION_ML = 8.0


@dataclass
class Stalled:
    """A study of 40 images that can be stopped anywhere. ``answers``: by the images that were analysed."""

    bench: Bench
    files: dict[str, bytes]
    headers: tuple[ImageHeader, ...]
    answers: dict[tuple[str, ...], AnswerKind] = field(default_factory=dict)

    def appraise(self, indices: list[int], quiet: dt.timedelta = dt.timedelta(hours=1)) -> Appraisal:
        manifest = self.bench.model.manifest
        assert manifest is not None
        headers = tuple(sorted((self.headers[index] for index in indices), key=lambda header: header.sop_instance_uid))
        return appraise(StudyContent("study", "1.2.3", headers), manifest, now=NOW, quiet_since=NOW - quiet)

    def answer(self, indices: list[int], quiet: dt.timedelta = dt.timedelta(hours=1)) -> AnswerKind | None:
        """What is said of these images when nothing more has come for ``quiet``; None while the model waits. (Of those that are
        refused, a positive may still leave: tests/integration/test_bad_input.py.)"""
        found = self.appraise(indices, quiet)
        if found.verdict is Verdict.REFUSED:
            return AnswerKind.NOT_ANALYSED
        if found.verdict is not Verdict.WANTED:
            return None
        assert found.stack is not None
        images = tuple(header.orthanc_id for header in found.stack.headers)
        if images not in self.answers:
            self.answers[images] = self.bench.run(load_volume(found.stack, self.files.__getitem__)).answer.kind
        return self.answers[images]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("marker"))


@pytest.fixture(scope="module")
def stalled(bench: Bench):
    @cache
    def study(at_mm: float, declared: bool) -> Stalled:
        head = Head(matrix=54, spacing_mm=(4.0, 3.6, 3.6), insert_ml=LESION_ML, insert_at_mm=(0.0, 0.0, at_mm))
        made = Acquisition(f"stalled {at_mm}", spacing_mm=head.spacing_mm, declare_images=declared, started=NOW)
        files = {f"{index}": dicom_bytes(ds) for index, ds in enumerate(ct_series(phantom(head), made))}
        return Stalled(bench, files, tuple(read_header(name, data) for name, data in files.items()))

    return study


def sent(count: int, at_mm: float) -> list[int]:
    """The first ``count`` images of a scan that comes to the lesion last."""
    return list(range(count)) if at_mm == TOP else list(range(SLICES - count, SLICES))


@pytest.mark.parametrize("at_mm", [TOP, BOTTOM], ids=["to the vertex", "to the base"])
def test_no_beginning_of_an_undeclared_study_is_negative_and_the_whole_is_positive(stalled, at_mm: float) -> None:
    study = stalled(at_mm, False)
    said = [study.answer(sent(count, at_mm)) for count in range(SLICES + 1)]
    assert set(said) == {None, AnswerKind.NOT_ANALYSED, AnswerKind.POSITIVE}
    assert said[0] is None
    assert said[SLICES] is AnswerKind.POSITIVE
    # What the test is about: parts that the headers let pass, and the lesion not yet in the images.
    passed = [count for count in range(SLICES) if study.appraise(sent(count, at_mm)).complete]
    assert passed[0] == 25
    assert any(said[count] is AnswerKind.NOT_ANALYSED for count in passed)


@pytest.mark.parametrize("at_mm", [TOP, BOTTOM], ids=["to the vertex", "to the base"])
def test_no_beginning_of_a_declared_study_is_complete_and_the_whole_is_answered_at_once(stalled, at_mm: float) -> None:
    study = stalled(at_mm, True)
    for count in range(1, SLICES):
        assert study.answer(sent(count, at_mm)) is AnswerKind.NOT_ANALYSED, count
        assert study.answer(sent(count, at_mm), dt.timedelta(0)) is None, count
    assert study.answer(sent(SLICES, at_mm), dt.timedelta(0)) is AnswerKind.POSITIVE


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, SLICES - 1), min_size=1), st.booleans(), st.sampled_from([TOP, BOTTOM]), st.integers(0, 2**32))
def test_no_part_in_any_order_is_negative(stalled, chosen: set[int], declared: bool, at_mm: float, seed: int) -> None:
    part = random.Random(seed).sample(sorted(chosen), len(chosen))
    said = stalled(at_mm, declared).answer(part)
    assert said in ((AnswerKind.POSITIVE,) if len(chosen) == SLICES else (AnswerKind.POSITIVE, AnswerKind.NOT_ANALYSED))
    assert not declared or len(chosen) == SLICES or said is AnswerKind.NOT_ANALYSED


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, SLICES), st.integers(0, SLICES), st.sampled_from([TOP, BOTTOM]))
def test_no_block_out_of_the_middle_is_negative(stalled, one: int, other: int, at_mm: float) -> None:
    block = list(range(*sorted((one, other))))
    assert stalled(at_mm, False).answer(block) is not AnswerKind.NEGATIVE


def test_a_head_without_the_lesion_is_negative_when_it_is_whole(bench: Bench, tmp_path: Path) -> None:
    """Or the tests above would hold of a model that never says so."""
    head = Head(matrix=54, spacing_mm=(4.0, 3.6, 3.6))
    files = {f"{index}": dicom_bytes(ds) for index, ds in enumerate(ct_series(
        phantom(head), Acquisition("whole", spacing_mm=head.spacing_mm, started=NOW)))}
    study = Stalled(bench, files, tuple(read_header(name, data) for name, data in files.items()))
    assert study.answer(list(range(SLICES))) is AnswerKind.NEGATIVE
