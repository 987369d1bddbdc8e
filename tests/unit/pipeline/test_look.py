"""What is seen of a study for a model of two sequences: both are read, each for its input, and a part only where each has
enough."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from hospital import two_sequences
from hospital.ct_series import dicom_bytes
from hospital.two_sequences import MODEL, Head
from vigil.domain.answer import Analysis, AnswerKind, Reason
from vigil.domain.errors import Category
from vigil.imaging.arrived import ArrivedImages
from vigil.inference.quarantine import CrashMarker
from vigil.inference.registry import InstalledModel, Registry
from vigil.inference.runtime import Runtime
from vigil.intake.appraise import Verdict, appraise
from vigil.intake.header import read_header
from vigil.intake.study import HeaderCache, StudyContent
from vigil.pipeline.look import Looked, Looker
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


class Shelf:
    """Orthanc, as far as looking asks of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def dicom(self, orthanc_id: str) -> bytes | None:
        return self.files.get(orthanc_id)


class Room:
    def __init__(self, folder: Path, **changes: Any) -> None:
        inputs = two_sequences.manifest(b"")["inputs"]
        inputs[1]["largest_uncovered_share"] = 0.9  # so that what keeps a part back is not its coverage
        two_sequences.install(folder / "models", inputs=inputs, **changes)
        model, = Registry(folder / "models").installed()
        self.model: InstalledModel = model
        self.shelf = Shelf()
        runtime = Runtime(provider="cpu", threads=1, allow_cpu_fallback=False, memory_budget_mib=1024,
                          marker=folder / "marker.json")
        runtime.load(model)
        self.looker = Looker(
            gateway=self.shelf, models={MODEL: model}, runtime=runtime, headers=HeaderCache(),  # type: ignore[arg-type]
            images=ArrivedImages(1 << 20, 60), reading=CrashMarker(folder / "reading.json"), stop=threading.Event(),
            metrics=Metrics())

    def analysis(self, images: list[Dataset], verdict: Verdict) -> Analysis:
        """As it is promised for these images, of which nothing more comes."""
        assert self.model.manifest is not None
        files = {f"of {image.SOPInstanceUID}": dicom_bytes(image) for image in images}
        self.shelf.files |= files
        headers = [read_header(name, data) for name, data in files.items()]
        content = StudyContent("study", "1.2.3", tuple(sorted(headers, key=lambda item: item.sop_instance_uid)))
        found = appraise(content, self.model.manifest, now=NOW, quiet_since=NOW - timedelta(hours=1))
        assert found.verdict is verdict
        return Analysis(
            analysis_id="a", orthanc_study_id="study", study_instance_uid="1.2.3", model_id=MODEL, model_version="1.0.0",
            weights_sha256=self.model.manifest.weights_sha256, operating_point="default", renderer_version="1",
            settings_sha256="s", inputs_sha256="i", inputs=found.inputs, created_at=NOW, correlation_id="c", stage="live",
            refusal=found.reason)

    def look(self, analysis: Analysis, log: Log) -> Looked:
        return self.looker.look(analysis, log)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    return Room(tmp_path_factory.mktemp("look"))


def test_both_series_are_seen_and_what_is_drawn_is_the_first(room: Room, log: Log) -> None:
    t1, flair = two_sequences.t1(Head()), two_sequences.flair(Head())
    looked = room.look(room.analysis([*flair, *t1], Verdict.WANTED), log)
    assert looked.answer.kind is AnswerKind.POSITIVE
    assert [str(source.SOPInstanceUID) for source in looked.sources] == [str(image.SOPInstanceUID) for image in t1]
    (others,) = looked.further_sources
    assert {str(source.SOPInstanceUID) for source in others} == {str(image.SOPInstanceUID) for image in flair}
    assert looked.voxels is not None
    assert looked.masks["lesion"].shape == looked.voxels.shape == (36, 64, 72)
    assert looked.runtime is not None
    assert looked.runtime.endswith("CPU")


def test_of_a_part_a_positive_leaves_where_every_input_has_enough_and_no_other_answer(room: Room, log: Log) -> None:
    declared = Head(declared=True)
    t1, flair = two_sequences.t1(declared), two_sequences.flair(declared)
    part = room.look(room.analysis([*t1, *flair[:26]], Verdict.REFUSED), log).answer
    assert part.kind is AnswerKind.POSITIVE
    assert part.notes == ("Only a part of the study was analysed: FLAIR series: 26 of the 30 images that the scanner declared "
                          "have arrived.",)
    clear = Head(declared=True, lesion=False)
    without = room.look(room.analysis([*two_sequences.t1(clear), *two_sequences.flair(clear)[:26]], Verdict.REFUSED), log).answer
    assert without.kind is AnswerKind.NOT_ANALYSED


def test_of_a_part_each_of_several_findings_leaves_only_where_it_is_positive(tmp_path: Path, log: Log) -> None:
    made = two_sequences.manifest(b"")
    further = made["finding"] | {
        "concept": {"value": "X-MANY", "scheme": "99T", "meaning": "Many lesions"}, "unit": "1", "decided_by": "number",
        "operating_points": {"default": {"positive": 40.0}}}
    number = {"name": "number", "kind": "count", "region": "lesion"}
    room = Room(tmp_path, further_findings=[further], measurements=[*made["measurements"], number])
    declared = Head(declared=True)
    t1, flair = two_sequences.t1(declared), two_sequences.flair(declared)
    whole = room.look(room.analysis([*t1, *flair], Verdict.WANTED), log).answer
    assert [part.kind for part in whole.parts] == [AnswerKind.POSITIVE, AnswerKind.NEGATIVE]
    part = room.look(room.analysis([*t1, *flair[:26]], Verdict.REFUSED), log).answer
    assert [part.kind for part in part.parts] == [AnswerKind.POSITIVE, AnswerKind.NOT_ANALYSED]
    assert "Many lesions: not analysed: FLAIR series: 26 of the 30 images" in part.sentence


@pytest.mark.parametrize("count", [0, 5, 19])
def test_of_a_part_in_which_one_input_has_too_little_nothing_is_said(room: Room, log: Log, count: int) -> None:
    """Whoever asks: also an analysis that names what it has as its inputs. Nineteen slices show the lesion; twenty are needed."""
    declared = Head(declared=True)
    t1, flair = two_sequences.t1(declared), two_sequences.flair(declared)[8:8 + count]
    whole = room.analysis([*t1, *two_sequences.flair(declared)], Verdict.WANTED)
    kept = {str(image.SOPInstanceUID) for image in (*t1, *flair)}
    named = replace(whole, inputs=tuple(item for item in whole.inputs if item.sop_instance_uid in kept),
                    refusal=Reason(Category.INCOMPLETE, "some have not arrived"))
    for analysis in (named, room.analysis([*t1, *flair], Verdict.REFUSED)):
        answer = room.look(analysis, log).answer
        assert (answer.kind, answer.reason) == (AnswerKind.NOT_ANALYSED, analysis.refusal), "the model is not even asked"


def test_pixels_that_cannot_be_used_are_told_with_the_series_that_holds_them(room: Room, log: Log) -> None:
    t1, flair = two_sequences.t1(Head()), two_sequences.flair(Head())
    flair[14].PixelData = np.zeros((72, 64), np.uint16).tobytes()
    looked = room.look(room.analysis([*t1, *flair], Verdict.WANTED), log)
    assert looked.answer.kind is AnswerKind.NOT_ANALYSED
    assert looked.answer.sentence.startswith("Not analysed: FLAIR series: slice 15 of 30 is blank")
