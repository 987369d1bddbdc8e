"""Result objects of a large study with much in it, warm: the product beside highdicom's straightforward calls, in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target
from benchmark.ours import Loader
from benchmark.statistics import median, ratio
from benchmark.stopwatch import Laps, now
from hospital.orthanc import REPOSITORY
from vigil.domain.answer import Analysis, Answer, AnswerKind, Criterion, Finding, Measurement
from vigil.domain.codes import (
    BRAIN,
    HYPERDENSE_REGION,
    HYPERDENSE_VOLUME,
    MILLILITRE,
    MORPHOLOGICALLY_ALTERED_STRUCTURE,
)
from vigil.inference.registry import Registry
from vigil.intake.header import read_dataset
from vigil.results import RENDERER_VERSION
from vigil.results.options import Captures, ResultOptions
from vigil.results.request import DeviceIdentity, ResultRequest
from vigil.results.secondary_capture import key_slices
from vigil.results.segmentation import segmentation
from vigil.results.structured_report import structured_report
from vigil.results.warm import warm

SEGMENTS, FINDINGS = 2, 20
MAKER = "Straightforward"
MOST_S = {"segmentation, two segments in every slice": 1.0, "report of 20 findings": 0.3, "300 captures": 2.5}
NOTE = (
    "300 slices of 512², two segments in every slice (a report: 20 findings, each outlined), warm, without the network. The "
    "straightforward way is one call of highdicom an object, with the same masks and pictures of the same size; it draws a "
    "contour and no words."
)


def objects(case: Case, effort: Effort) -> Findings:
    warm()
    asked, images, masks = _asked()
    many = replace(asked, answer=_answer(FINDINGS), masks={f"region {n}": masks[n % SEGMENTS] for n in range(FINDINGS)})
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "segmentation, two segments in every slice": (lambda: segmentation(asked), lambda: _segmentation(images, masks)),
        "report of 20 findings": (lambda: structured_report(many), lambda: _report(images, FINDINGS)),
        "300 captures": (lambda: key_slices(asked), lambda: _captures(asked, images, masks[0])),
    }
    figures: list[Figure] = []
    targets: list[Target] = []
    for what, (ours, theirs) in ways.items():
        spent: dict[str, list[float]] = {"Vigil": [], "highdicom": []}
        for turn in range(effort.repeats + 1):
            for name, make in (("Vigil", ours), ("highdicom", theirs)):
                begun = now()
                make()
                if turn:  # the first is for warmth
                    spent[name].append((now() - begun).cpu_s)
        figures += [Figure.of(f"{name}: {what}", "CPU s", values) for name, values in spent.items()]
        figures.append(Figure(f"highdicom / Vigil: {what}", "×", ratio(spent["highdicom"], spent["Vigil"])))
        targets.append(Target(f"{what[0].upper()}{what[1:]}", MOST_S[what], True, "CPU s", median(spent["Vigil"])))
    return Findings(case.name, case.title, NOTE, figures=tuple(figures), targets=tuple(targets))


def _asked() -> tuple[ResultRequest, list[Dataset], list[NDArray[np.bool_]]]:
    study = studies.large_ct()
    loaded = Loader(study.model_id).load(study.study_uid, list(study.files), Laps())
    images = sorted((read_dataset(dicom) for dicom in study.files), key=lambda image: float(image.ImagePositionPatient[2]))
    masks = [_ball(study.shape, column) for column in (0.38, 0.62)]
    manifest = next(model.manifest for model in Registry(REPOSITORY / "models").installed() if model.model_id == study.model_id)
    assert manifest is not None
    answer = _answer(SEGMENTS)
    analysis = Analysis(
        analysis_id="ab" * 16, orthanc_study_id="study", study_instance_uid=study.study_uid, model_id=manifest.id,
        model_version=manifest.version, weights_sha256=manifest.weights_sha256, operating_point="default",
        renderer_version=RENDERER_VERSION, settings_sha256="", inputs_sha256="", inputs=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC), correlation_id="bench", stage="live",
    )  # fmt: skip
    return ResultRequest(
        analysis=analysis, answer=answer, manifest=manifest, reference=images[0], sources=images, voxels=loaded.volume.voxels,
        device=DeviceIdentity("bench", "1.2.3", "0", "none"), masks={f"region {n}": masks[n] for n in range(SEGMENTS)},
        options=ResultOptions(captures=Captures.ALL),
    ), images, masks  # fmt: skip


def _ball(shape: tuple[int, int, int], column: float) -> NDArray[np.bool_]:
    """In every slice, the widest in the middle."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    radius = shape[2] * (0.03 + 0.07 * np.sin(np.pi * (z + 0.5) / shape[0]))
    mask: NDArray[np.bool_] = (y - shape[1] / 2) ** 2 + (x - shape[2] * column) ** 2 <= radius**2
    return mask


def _answer(count: int) -> Answer:
    volume = Measurement(HYPERDENSE_VOLUME, 19.9, MILLILITRE)
    findings = tuple(
        Finding(HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE, BRAIN, (volume,), region=f"region {number}",
                key_slices=(150 - number,), acr_category=1)
        for number in range(count)
    )  # fmt: skip
    return Answer(AnswerKind.POSITIVE, "Hyperdense volume 19.9 mL, at or above the threshold of 5.0 mL.",
                  Criterion("default", HYPERDENSE_VOLUME, 5.0, MILLILITRE), volume, findings)


def _segmentation(images: Sequence[Dataset], masks: Sequence[NDArray[np.bool_]]) -> bytes:
    described = [
        hd.seg.SegmentDescription(
            segment_number=number, segment_label=f"Finding {number}",
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion, algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name=MAKER, family=codes.DCM.ArtificialIntelligence, version="1"),
            tracking_uid=generate_uid(), tracking_id=f"finding {number}",
        )
        for number in range(1, len(masks) + 1)
    ]  # fmt: skip
    return _bytes(hd.seg.Segmentation(
        source_images=images, pixel_array=np.stack(masks, axis=-1), segment_descriptions=described,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY, series_instance_uid=generate_uid(), series_number=102,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer=MAKER, manufacturer_model_name=MAKER,
        software_versions="1", device_serial_number="1", omit_empty_frames=True,
    ))  # fmt: skip


def _captures(asked: ResultRequest, images: Sequence[Dataset], mask: NDArray[np.bool_]) -> list[bytes]:
    assert asked.voxels is not None
    made = []
    for index, source in enumerate(images):
        grey = np.clip(asked.voxels[index] * (255 / 80), 0, 255).astype(np.uint8)
        rgb = np.repeat(grey[:, :, None], 3, axis=2)
        inside = mask[index]
        inner = inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        edge = inside.copy()
        edge[1:-1, 1:-1] &= ~inner
        rgb[edge] = (255, 222, 50)
        made.append(_bytes(hd.sc.SCImage.from_ref_dataset(
            ref_dataset=source, pixel_array=rgb, photometric_interpretation="RGB", bits_allocated=8,
            coordinate_system="PATIENT", series_instance_uid=generate_uid(), series_number=101,
            sop_instance_uid=generate_uid(), instance_number=index + 1, manufacturer=MAKER, patient_orientation=("L", "P"),
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )))  # fmt: skip
    return made


def _report(images: Sequence[Dataset], count: int) -> bytes:
    groups = [
        hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(uid=generate_uid(), identifier=f"finding {number}"),
            referenced_region=hd.sr.ImageRegion3D(
                graphic_type=hd.sr.GraphicTypeValues3D.POLYGON, graphic_data=_polygon(images[150 - number]),
                frame_of_reference_uid=images[0].FrameOfReferenceUID),
            finding_type=codes.SCT.Lesion, finding_sites=[hd.sr.FindingSite(anatomic_location=codes.SCT.Brain)],
            algorithm_id=hd.sr.AlgorithmIdentification(name=MAKER, version="1"),
            measurements=[hd.sr.Measurement(name=codes.SCT.Volume, value=19.9, unit=Code("mL", "UCUM", "milliliter"))],
        )
        for number in range(count)
    ]  # fmt: skip
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(uid=generate_uid(), name=MAKER))
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion, imaging_measurements=groups)
    return _bytes(hd.sr.Comprehensive3DSR(
        evidence=list(images), content=content, series_instance_uid=generate_uid(), series_number=103,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer=MAKER, is_complete=True))


def _polygon(image: Dataset) -> NDArray[np.float64]:
    """A circle of 120 points on a slice, in the patient."""
    turns = np.linspace(0, 2 * np.pi, 121)
    origin = np.array([float(value) for value in image.ImagePositionPatient])
    circle = np.stack([np.cos(turns) * 20 + 100, np.sin(turns) * 20 + 100, np.zeros_like(turns)], axis=1)
    circle[-1] = circle[0]
    return np.asarray(circle + origin)


def _bytes(made: Dataset) -> bytes:
    buffer = BytesIO()
    made.save_as(buffer)
    return buffer.getvalue()
