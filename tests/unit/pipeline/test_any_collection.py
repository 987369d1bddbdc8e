"""Collections of other people's files go the whole way to a volume: analysed, or refused with a named reason.

pydicom's own files always; with ``VIGIL_MORE_FILES`` (folders, joined by a colon) others too, as those of the packages
pydicom-data and wsidicom-data, unpacked.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
import yaml

from vigil.domain.errors import Category, VigilError
from vigil.domain.manifest import Manifest, SeriesInput
from vigil.imaging.load import load_stack
from vigil.imaging.unfit import refuse_unfit
from vigil.intake.appraise import Verdict, appraise
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.part10 import read_dataset
from vigil.intake.study import StudyContent
from vigil.pipeline.house import BUNDLED_MODELS

OWN = Path(pydicom.__file__).parent / "data" / "test_files"
MORE = [Path(folder) for folder in os.environ.get("VIGIL_MORE_FILES", "").split(":") if folder]
NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
LARGEST_BYTES = 256 << 20
LEAST_PICTURES, LEAST_LOOPS = 50, 2


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def anything(modality: str, body_parts: set[str]) -> Manifest:
    """A model that takes whatever of a modality makes a volume."""
    described = yaml.safe_load((BUNDLED_MODELS / "hyperdense-volume-ct-head" / "manifest.yaml").read_text())
    described["scope"] = {
        "modality": [modality], "lossy": "accept",
        "body_part": {"any_of": sorted(body_parts) or ["ANY"], "words": [""], "unknown": "accept"},
    }
    described["inputs"] = [{
        "name": "any", "minimum_slices": 1, "minimum_coverage_mm": 0.001, "excluded_image_types": [], "spacing_tolerance": 0.9,
        "largest_gantry_tilt_degrees": 45, "give_up_after_s": 0,
    }]
    return Manifest.model_validate(described)


def any_picture(modality: str, body_parts: set[str]) -> Manifest:
    """A model of two dimensions that takes whatever of a modality makes a picture, a loop or a secondary capture, in colours."""
    picture = SeriesInput(
        name="any", dimensions=2, minimum_slices=1, excluded_image_types=(), frames="each", colour="rgb", give_up_after_s=0)
    return anything(modality, body_parts).model_copy(update={"inputs": (picture,)})


def outcome(
    headers: list[ImageHeader], contents: dict[str, bytes], model: Callable[[str, set[str]], Manifest] = anything
) -> str:
    """Of files as one study: what a model of their modality makes of it."""
    content = StudyContent("study", "1.2.3", tuple(headers))
    modalities = sorted({header.modality for header in headers if header.modality.isalpha() and header.modality.isupper()})
    body_parts = {header.body_part for header in headers} - {""}
    told = []
    for modality in modalities:
        manifest = model(modality, body_parts)
        found = appraise(content, manifest, now=NOW, quiet_since=NOW - dt.timedelta(days=1))
        if found.verdict is not Verdict.WANTED:
            assert found.verdict in (Verdict.REFUSED, Verdict.NOT_APPLICABLE)
            assert found.reason is not None and found.reason.text and found.reason.category is not Category.INTERNAL
            told.append(found.reason.category.value)
            continue
        assert found.stack is not None
        try:
            loaded = load_stack(found.stack, contents.get, largest_bytes=LARGEST_BYTES, colour=manifest.reference.colour)
            read = {head: read_dataset(head) for head in set(loaded.heads)}
            refuse_unfit(loaded.volume, [read[head] for head in loaded.heads], manifest.reference)
            told.append("a loop" if len(loaded.frames) > 1 and manifest.reference.dimensions == 2
                        else "a picture" if manifest.reference.dimensions == 2 else "a volume")
        except VigilError as error:
            assert error.category is not Category.INTERNAL and error.message
            told.append(error.category.value)
    return told[0] if told else "no modality"


@pytest.mark.parametrize("folder", [OWN, *MORE], ids=lambda folder: str(folder.name))
def test_every_file_of_a_collection_is_analysed_or_refused_with_a_named_reason(folder: Path) -> None:
    count, by_series = Counter[str](), dict[str, dict[str, tuple[ImageHeader, bytes]]]()
    for path in files_of(folder):
        dicom = path.read_bytes()
        try:
            header = read_header(str(path), dicom)
        except VigilError as error:
            assert error.category is not Category.INTERNAL and error.message
            count[error.category.value] += 1
            continue
        count[outcome([header], {str(path): dicom})] += 1
        count["flat: " + outcome([header], {str(path): dicom}, any_picture)] += 1
        by_series.setdefault(header.series_instance_uid, {})[str(path)] = (header, dicom)
    for members in by_series.values():
        if len(members) > 1:
            count["series: " + outcome([header for header, _ in members.values()],
                                       {name: dicom for name, (_, dicom) in members.items()})] += 1
    assert count.total() > 0
    if folder == OWN:  # the slices of one of its series make one
        assert count["series: a volume"] >= 1, count
        assert count["flat: a picture"] >= LEAST_PICTURES and count["flat: a loop"] >= LEAST_LOOPS, count
