"""The straightforward chain: what a competent engineer writes with pydicom, SimpleITK and highdicom, for the same results.

Same study, same mask, as many captures of the same size, each with window, contour and words; no detours, and each library
used as its documentation shows. It makes no claims that the product's results make besides (ids that a replay repeats, scope,
hashes of what was read), so it has less to do, not more.
"""

# SimpleITK has no type annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import highdicom as hd
import numpy as np
import SimpleITK
from highdicom.sr import (
    AlgorithmIdentification,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from benchmark.ours import CAPTURES, HEADERS, OUTLINE, PIXELS, REPORT, RESAMPLE, Answered
from benchmark.stopwatch import Laps
from benchmark.studies import Study
from vigil.domain.manifest import Manifest, Preprocessing, TensorPreprocessing
from vigil.results.objects import Role

MAKER = "Straightforward"
CONTOUR = (255, 222, 50)
WORDS = ("AI result, not for primary diagnosis", "Research use only")


@dataclass(frozen=True)
class Capture:
    """A secondary capture to be made: its size, and the slice that it shows (None: the summary, which shows ``pictured``)."""

    rows: int
    columns: int
    index: int | None


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be made of a study: the same as another chain made of it."""

    study: Study
    mask: NDArray[np.bool_]
    sentence: str
    value_ml: float
    captures: tuple[Capture, ...]
    pictured: int
    target_spacing_mm: tuple[float, float, float] | None
    target_shape: tuple[int, int, int] | None

    @classmethod
    def of(cls, study: Study, answered: Answered) -> Task:
        """``answered``: what the product made."""
        mask = next(iter(answered.masks.values()))
        images = sorted((dcmread(BytesIO(dicom), stop_before_pixels=True) for dicom in study.files), key=_depth)
        index_of = {str(image.SOPInstanceUID): index for index, image in enumerate(images)}
        captures = []
        for item in answered.objects:
            if item.role not in (Role.SUMMARY, Role.KEY_SLICE):
                continue
            made = dcmread(BytesIO(item.dicom), stop_before_pixels=True)
            shown = index_of[made.SourceImageSequence[0].ReferencedSOPInstanceUID] if item.role == Role.KEY_SLICE else None
            captures.append(Capture(int(made.Rows), int(made.Columns), shown))
        spacing, shape = _target(answered.manifest)
        return cls(
            study, mask, answered.answer.sentence, answered.answer.measured.value if answered.answer.measured else 0.0,
            tuple(captures), int(mask.sum(axis=(1, 2)).argmax()), spacing, shape,
        )  # fmt: skip


def run(task: Task, laps: Laps) -> list[bytes]:
    """From the files to the objects' bytes; a stage a lap, by the same names as the product's."""
    with laps.stage(HEADERS):
        images = sorted((dcmread(BytesIO(dicom)) for dicom in task.study.files), key=_depth)
    with laps.stage(PIXELS):
        voxels = np.empty(task.study.shape, np.float32)
        for index, image in enumerate(images):
            slope, intercept = float(image.get("RescaleSlope", 1)), float(image.get("RescaleIntercept", 0))
            voxels[index] = image.pixel_array.astype(np.float32) * slope + intercept
    with laps.stage(RESAMPLE):
        _resampled(voxels, images, task)
    with laps.stage(CAPTURES):
        made = [_capture(task, capture, number, voxels, images) for number, capture in enumerate(task.captures, start=1)]
    with laps.stage(OUTLINE):
        outlined, outlined_bytes = _segmentation(task, images)
    with laps.stage(REPORT):
        report = _report(task, images, outlined)
    return [*made, outlined_bytes, report]


def _resampled(voxels: NDArray[np.float32], images: Sequence[Dataset], task: Task) -> NDArray[np.float32]:
    """What the network would be given."""
    first, last = images[0], images[-1]
    row, column = (np.array([float(value) for value in first.ImageOrientationPatient[start : start + 3]]) for start in (0, 3))
    normal = np.cross(row, column)
    row_mm, column_mm = (float(value) for value in first.PixelSpacing)
    slice_mm = (_depth(last) - _depth(first)) / (len(images) - 1)
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((column_mm, row_mm, slice_mm))
    image.SetOrigin([float(value) for value in first.ImagePositionPatient])
    image.SetDirection(np.stack([row, column, normal], axis=1).ravel().tolist())
    own = image.GetSpacing(), image.GetSize()
    if task.target_shape is not None:
        size = list(task.target_shape[::-1])
        spacing = [mm * count / new for mm, count, new in zip(*own, size, strict=True)]
        how = SimpleITK.sitkNearestNeighbor
    else:
        assert task.target_spacing_mm is not None
        spacing = list(task.target_spacing_mm[::-1])
        size = [round(mm * count / new) for mm, count, new in zip(*own, spacing, strict=True)]
        how = SimpleITK.sitkLinear
    resampled = SimpleITK.Resample(
        image, size, SimpleITK.Transform(), how, image.GetOrigin(), spacing, image.GetDirection(), float(voxels.min())
    )
    array: NDArray[np.float32] = SimpleITK.GetArrayFromImage(resampled)
    return array


def _capture(
    task: Task, capture: Capture, number: int, voxels: NDArray[np.float32], images: Sequence[Dataset]
) -> bytes:
    index = task.pictured if capture.index is None else capture.index
    source = images[index]
    centre, width = float(source.get("WindowCenter", 40)), float(source.get("WindowWidth", 80))
    grey = np.clip((voxels[index] - (centre - width / 2)) * (255 / width), 0, 255).astype(np.uint8)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    mask = task.mask[index]
    if mask.any():
        inner = mask.copy()
        inner[1:-1, 1:-1] = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
        rgb[mask & ~inner] = CONTOUR
    picture = Image.fromarray(rgb)
    if picture.size != (capture.columns, capture.rows):
        picture = picture.resize((capture.columns, capture.rows), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(9, capture.rows // 32))
    for line, words in enumerate((*WORDS, task.sentence)):
        draw.text((8, 8 + line * capture.rows // 24), words, fill=(240, 240, 240), font=font)
    made = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source, pixel_array=np.asarray(picture), photometric_interpretation="RGB", bits_allocated=8,
        coordinate_system="PATIENT", series_instance_uid=generate_uid(), series_number=100 if capture.index is None else 101,
        sop_instance_uid=generate_uid(), instance_number=number, manufacturer=MAKER, patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )  # fmt: skip
    return _bytes(made)


def _segmentation(task: Task, images: Sequence[Dataset]) -> tuple[hd.seg.Segmentation, bytes]:
    description = hd.seg.SegmentDescription(
        segment_number=1, segment_label="Finding", segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion, algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=MAKER, family=codes.DCM.ArtificialIntelligence, version="1"
        ),
        tracking_uid=generate_uid(), tracking_id="finding 1",
    )  # fmt: skip
    made = hd.seg.Segmentation(
        source_images=images, pixel_array=task.mask, segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[description], series_instance_uid=generate_uid(), series_number=102,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer=MAKER, manufacturer_model_name=MAKER,
        software_versions="1", device_serial_number="1", omit_empty_frames=True,
    )  # fmt: skip
    return made, _bytes(made)


def _report(task: Task, images: Sequence[Dataset], outlined: hd.seg.Segmentation) -> bytes:
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(uid=generate_uid(), name=MAKER),
    )
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=generate_uid(), identifier="finding 1"),
        referenced_segment=ReferencedSegment(
            outlined.SOPClassUID, outlined.SOPInstanceUID, 1,
            source_series=SourceSeriesForSegmentation(images[0].SeriesInstanceUID),
        ),
        finding_type=codes.SCT.Lesion, finding_sites=[FindingSite(anatomic_location=codes.SCT.Brain)],
        algorithm_id=AlgorithmIdentification(name=MAKER, version="1"),
        measurements=[Measurement(name=codes.SCT.Volume, value=round(task.value_ml, 3), unit=Code("mL", "UCUM", "milliliter"))],
    )  # fmt: skip
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=[group],
    )  # fmt: skip
    made = Comprehensive3DSR(
        evidence=[*images, outlined], content=content, series_instance_uid=generate_uid(), series_number=103,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer=MAKER, is_complete=True,
    )  # fmt: skip
    return _bytes(made)


def _depth(image: Dataset) -> float:
    """Position along the normal of the slices, in mm."""
    cosines = [float(value) for value in image.ImageOrientationPatient]
    return float(np.cross(cosines[:3], cosines[3:]) @ [float(value) for value in image.ImagePositionPatient])


def _target(manifest: Manifest) -> tuple[tuple[float, float, float] | None, tuple[int, int, int] | None]:
    if isinstance(manifest.preprocessing, TensorPreprocessing):
        one, two, three = manifest.preprocessing.shape
        assert one and two and three, "the benchmark's models keep to a spacing or a shape"
        return None, (one, two, three)
    assert isinstance(manifest.preprocessing, Preprocessing), "the benchmark's models keep to a spacing or a shape"
    return manifest.preprocessing.spacing_mm, None


def _bytes(made: Dataset) -> bytes:
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
