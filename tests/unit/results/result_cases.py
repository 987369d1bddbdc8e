"""Requests for results, made from a small phantom: one for each kind of answer, and the variations that hospitals bring.

:data:`CASES` names them all; each is made when it is called for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from other_sources import breast, chest
from pydicom import Dataset, dcmread

from hospital.ct_series import Acquisition, Patient, ct_series, dicom_bytes
from hospital.enhanced import enhanced_ct
from hospital.phantom import Head, phantom
from hospital.radiograph import radiograph
from vigil.domain import codes
from vigil.domain.answer import (
    Analysis,
    Answer,
    AnswerKind,
    Criterion,
    Finding,
    InputInstance,
    Measurement,
    Part,
    Reason,
    gravest,
    joined,
)
from vigil.domain.boxes import PatientBox, Rectangle
from vigil.domain.concepts import Code
from vigil.domain.errors import Category
from vigil.domain.identity import digest, object_uid
from vigil.domain.manifest import (
    BodyPart,
    CodeEntry,
    FindingEntry,
    HyperdenseVolume,
    Locator,
    Manifest,
    Network,
    OperatingPoint,
    PermittedOutput,
    Preprocessing,
    Range,
    Regulatory,
    RegulatoryStatus,
    Scope,
    SeriesInput,
    TensorPreprocessing,
)
from vigil.domain.manifest.postprocessing import RegionRule, Regions
from vigil.results.heat_map import HeatMap
from vigil.results.request import DeviceIdentity, PredecessorReport, ResultRequest

EVERY_OUTPUT = frozenset(PermittedOutput)
STARTED = dt.datetime(2025, 3, 14, 9, 30, tzinfo=dt.UTC)
LATIN = Patient(name="Müller^Jörg", patient_id="VIGIL-L1", character_set="ISO_IR 100")
JAPANESE = Patient(
    name="Yamada^Tarou=山田^太郎=やまだ^たろう", patient_id="VIGIL-J1", character_set="\\ISO 2022 IR 87"
)
UTF8 = Patient(name="Łukasiewicz^Żaneta", patient_id="VIGIL-U1")


@dataclass(frozen=True, eq=False)
class Case:
    """A request, and the files of the study as the scanner sent them."""

    asked: ResultRequest
    files: list[Dataset]


def entry(code: codes.Code) -> CodeEntry:
    return CodeEntry(value=code.value, scheme=code.scheme, meaning=code.meaning)


def manifest(
    outputs: frozenset[PermittedOutput] = EVERY_OUTPUT, status: RegulatoryStatus = RegulatoryStatus.RESEARCH
) -> Manifest:
    return Manifest(
        schema_version=1,
        id="hyperdense-volume",
        version="1.0.0",
        name="Hyperdense volume on CT head",
        vendor="Vigil for Orthanc",
        licence="AGPL-3.0-or-later",
        summary="Measures the volume of hyperdense tissue inside the skull.",
        regulatory=Regulatory(
            status=status,
            intended_use="Measures hyperdense volume on non-contrast CT of the head.",
            clearance="K000000, test authority" if status is RegulatoryStatus.CLEARED else None,
            permitted_outputs=outputs,
        ),
        files={"model.onnx": "ab" * 32},
        scope=Scope(modality=("CT",), body_part=BodyPart(any_of=("HEAD",))),
        inputs=(SeriesInput(name="head", minimum_slices=20, minimum_coverage_mm=100),),
        preprocessing=Preprocessing(spacing_mm=(2, 2, 2)),
        network=Network(file="model.onnx", input="ct", outputs=("cavity", "band")),
        postprocessing=HyperdenseVolume(
            kind="hyperdense-volume", cavity_output="cavity", band_output="band", region="hyperdense",
            minimum_component_ml=0.5, plausible_cavity_ml=Range(minimum=600, maximum=2200),
        ),
        operating_points={"default": OperatingPoint(positive=5.0, indeterminate=3.0)},
        finding=FindingEntry(
            concept=entry(codes.HYPERDENSE_REGION), category=entry(codes.MORPHOLOGICALLY_ALTERED_STRUCTURE),
            site=entry(codes.BRAIN), measurement=entry(codes.HYPERDENSE_VOLUME), unit="mL", acr_category=1,
            positive="Hyperdense volume {value} {unit}.", negative="{value}", indeterminate="{value}",
        ),
        limitations=(
            "A measurement by density, not a trained detector: calcification, contrast agent and artefact count as dense.",
            "No sensitivity or specificity has been established.",
        ),
        changes={"1.0.0": "First version."},
    )


def measuring_manifest(outputs: frozenset[PermittedOutput], status: RegulatoryStatus) -> Manifest:
    """Of a model that decides nothing."""
    network = Network(file="model.onnx", input="image", outputs=("probability",))
    return manifest(outputs, status).model_copy(update={
        "preprocessing": TensorPreprocessing(kind="tensor", orientation="RAS", shape=(64, 64, 64)),
        "locator": Locator(
            network=network, shape=(32, 32, 32), output="probability", channel=1, threshold=0.5, least_share=0.02, margin=0.1
        ),
        "network": network,
        "postprocessing": Regions(kind="regions", regions=(RegionRule(name="brain", output="parts", channel=1),)),
        "operating_points": {},
        "finding": FindingEntry(
            concept=entry(codes.BRAIN), category=entry(codes.ANATOMICAL_STRUCTURE), site=entry(codes.BRAIN),
            measurement=entry(codes.BRAIN_VOLUME), unit="mL", measured="Brain volume {value} {unit}.",
        ),
    })  # fmt: skip


DEVICE = DeviceIdentity(
    installation_name="Test Hospital CT 1", device_uid=object_uid("test installation", "device"), bundle_version="0.1.0",
    runtime="ONNX Runtime 1.26.0 CPU",
)  # fmt: skip

def study(
    *, patient: Patient = UTF8, matrix: int = 128, slices: int = 24, oblique: bool = False, head: Head | None = None,
    acquisition: Acquisition | None = None, dense: NDArray[np.bool_] | None = None,
) -> tuple[list[Dataset], NDArray[np.float32]]:
    """The files of a series as they are read back, pixels and all, and its HU. ``dense``: made as dense as blood."""
    made = head or Head(
        slices=slices, matrix=matrix, spacing_mm=(6.0, 230.4 / matrix, 230.4 / matrix), insert_ml=20.0, oversampling=1
    )
    hu = phantom(made)
    if dense is not None:
        hu[dense] = 68
    spacing = made.spacing_mm
    turn = np.deg2rad(17.0)
    orientation = (1.0, 0.0, 0.0, 0.0, float(np.cos(turn)), float(-np.sin(turn))) if oblique else (1, 0, 0, 0, 1, 0)
    described = acquisition or Acquisition(
        seed=f"results {matrix} {oblique} {patient.patient_id}", spacing_mm=spacing, orientation=orientation, started=STARTED
    )
    read = [dcmread(BytesIO(dicom_bytes(ds))) for ds in ct_series(hu, described, patient)]
    return read, hu


def headers(files: list[Dataset]) -> list[Dataset]:
    """The same without pixels, and not yet decoded: as the pipeline hands them on."""
    made = []
    for ds in files:
        buffer = BytesIO()
        ds.save_as(buffer)
        buffer.seek(0)
        made.append(dcmread(buffer, stop_before_pixels=True))
    return made


def request(
    kind: AnswerKind = AnswerKind.POSITIVE, *, files: list[Dataset] | None = None, hu: NDArray[np.float32] | None = None,
    outputs: frozenset[PermittedOutput] = EVERY_OUTPUT, status: RegulatoryStatus = RegulatoryStatus.RESEARCH,
    predecessor: PredecessorReport | None = None, notes: tuple[str, ...] = (),
) -> ResultRequest:  # fmt: skip
    """A request as the pipeline makes it."""
    if files is None or hu is None:
        files, hu = study()
    sources = headers(files)
    mask = np.asarray((hu > 55) & (hu < 95) & _inside(hu))
    spacing = [float(sources[0].SliceThickness), *(float(value) for value in sources[0].PixelSpacing)]
    volume_ml = float(mask.sum()) * float(np.prod(spacing)) / 1000.0
    analysed = kind.analysed
    made = ResultRequest(
        analysis=_analysis(kind, sources),
        answer=_answer(kind, volume_ml, mask, notes),
        manifest=measuring_manifest(outputs, status) if kind is AnswerKind.MEASURED else manifest(outputs, status),
        reference=headers(files[:1])[0],
        device=DEVICE,
        sources=sources if analysed else [],
        voxels=hu if analysed else None,
        masks={"brain" if kind is AnswerKind.MEASURED else "hyperdense": mask} if analysed else {},
    )
    if predecessor is not None:
        made = replace(made, predecessor=predecessor, analysis=replace(made.analysis, revision=2))
    return made


def _inside(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """An ellipsoid well inside the skull."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, count) for count in hu.shape), indexing="ij")
    return np.asarray((z**2 + y**2 + x**2) < 0.33)


def _analysis(kind: AnswerKind, sources: list[Dataset]) -> Analysis:
    study_uid = str(sources[0].StudyInstanceUID)
    inputs = tuple(
        InputInstance(f"id-{index}", str(ds.SOPInstanceUID), str(ds.SOPClassUID), str(ds.SeriesInstanceUID), "0" * 64)
        for index, ds in enumerate(sources)
    )
    return Analysis(
        analysis_id=digest("test analysis", kind, study_uid)[:32],
        orthanc_study_id="0000",
        study_instance_uid=study_uid,
        model_id="hyperdense-volume",
        model_version="1.0.0",
        weights_sha256="ab" * 32,
        operating_point="default",
        renderer_version="1",
        settings_sha256="cd" * 32,
        inputs_sha256="ef" * 32,
        inputs=inputs if kind.analysed else (),
        created_at=dt.datetime(2025, 3, 14, 9, 41, 7, tzinfo=dt.UTC),
        correlation_id="c0",
        stage="live",
    )


def _answer(kind: AnswerKind, volume_ml: float, mask: NDArray[np.bool_], notes: tuple[str, ...]) -> Answer:
    if not kind.analysed:
        reason = {
            AnswerKind.NOT_ANALYSED: Reason(
                Category.SLICE_MISSING,
                "A slice is missing: between images 11 and 13 of series 2 the gap is 12.0 mm where 6.0 mm were expected. "
                "Send the series again in full.",
            ),
            AnswerKind.FAILED: Reason(
                Category.MODEL_HASH_MISMATCH,
                "The model's file on disk is not the one that was approved. Install the approved package again.",
            ),
        }[kind]
        return Answer(kind=kind, sentence=reason.text, reason=reason, notes=notes)
    if kind is AnswerKind.MEASURED:
        brain = Measurement(codes.BRAIN_VOLUME, volume_ml, codes.MILLILITRE)
        largest = int(mask.sum(axis=(1, 2)).argmax())
        found = Finding(
            codes.BRAIN, codes.ANATOMICAL_STRUCTURE, codes.BRAIN, (brain,), region="brain", key_slices=(largest,)
        )
        told = f"Brain volume {volume_ml:.1f} mL. A measurement without a normal range: it neither shows nor excludes disease."
        return Answer(kind, told, measured=brain, findings=(found,), notes=notes)
    value = {AnswerKind.POSITIVE: volume_ml, AnswerKind.NEGATIVE: 0.9, AnswerKind.INDETERMINATE: 4.2}[kind]
    measured = Measurement(codes.HYPERDENSE_VOLUME, value, codes.MILLILITRE)
    sentence = {
        AnswerKind.POSITIVE: f"Hyperdense intracranial volume of {value:.1f} mL, at or above the threshold of 5.0 mL. "
        "Review for haemorrhage first.",
        AnswerKind.NEGATIVE: f"Hyperdense intracranial volume of {value:.1f} mL, below the threshold of 5.0 mL. "
        "This does not exclude haemorrhage.",
        AnswerKind.INDETERMINATE: f"Hyperdense intracranial volume of {value:.1f} mL, between 3.0 and 5.0 mL: too close to the "
        "threshold for an answer.",
    }[kind]
    findings: tuple[Finding, ...] = ()
    if kind is AnswerKind.POSITIVE:
        largest = np.argsort(-mask.sum(axis=(1, 2)))[:3]
        findings = (
            Finding(
                codes.HYPERDENSE_REGION, codes.MORPHOLOGICALLY_ALTERED_STRUCTURE, codes.BRAIN, (measured,), region="hyperdense",
                key_slices=tuple(int(index) for index in largest),
            ),
        )
    return Answer(
        kind=kind, sentence=sentence, criterion=Criterion("default", codes.HYPERDENSE_VOLUME, 5.0, codes.MILLILITRE),
        measured=measured, findings=findings, notes=notes,
    )  # fmt: skip


TRIAGE_ONLY = frozenset({PermittedOutput.NOTIFICATION})
LUNG, BREAST = Code("39607008", "SCT", "Lung"), Code("76752008", "SCT", "Breast")
MASS, DIAMETER = Code("4147007", "SCT", "Mass"), Code("81827009", "SCT", "Diameter")
MAIN, OEDEMA = codes.HYPERDENSE_REGION, Code("79654002", "SCT", "Edema")


def of_kind(kind: AnswerKind) -> Case:
    files, hu = study()
    return Case(request(kind, files=files, hu=hu), files)


def of_study(
    *, patient: Patient = UTF8, matrix: int = 128, slices: int = 16, oblique: bool = False, status: RegulatoryStatus =
    RegulatoryStatus.RESEARCH, outputs: frozenset[PermittedOutput] = EVERY_OUTPUT,
) -> Case:  # fmt: skip
    """A positive."""
    files, hu = study(patient=patient, matrix=matrix, slices=slices, oblique=oblique)
    return Case(request(files=files, hu=hu, status=status, outputs=outputs), files)


def two_findings(matrix: int = 256) -> Case:
    """Beside the first a smaller one on the other side, less severe; some slices bear both."""
    pixel_mm, shape = 230.4 / matrix, (24, matrix, matrix)
    z, y, x = np.meshgrid(*(np.arange(count) - count / 2 for count in shape), indexing="ij")
    second = np.asarray((z * 6 - 30) ** 2 + (y * pixel_mm + 14) ** 2 + (x * pixel_mm - 33) ** 2 < 12**2)
    files, hu = study(matrix=matrix, slices=24, dense=second)
    asked = request(files=files, hu=hu)
    (finding,) = asked.answer.findings
    volume = Measurement(codes.HYPERDENSE_VOLUME, float(second.sum()) * 6 * pixel_mm**2 / 1000, codes.MILLILITRE)
    masks = {"hyperdense": asked.masks["hyperdense"] & ~second, "second": second}
    other = replace(finding, region="second", measurements=(volume,), key_slices=(), severity=codes.MILD, laterality=codes.LEFT)
    finding = replace(finding, severity=codes.SEVERE, laterality=codes.RIGHT)
    return Case(replace(asked, masks=masks, answer=replace(asked.answer, findings=(finding, other))), files)


def several(outputs: frozenset[PermittedOutput] = EVERY_OUTPUT, matrix: int = 128) -> Case:
    """Three findings of one model: the main one negative, one positive with a place, one indeterminate with the same."""
    files, hu = study(matrix=matrix)
    asked = request(files=files, hu=hu, outputs=outputs)
    (found,) = asked.answer.findings
    kinds = {MAIN: AnswerKind.NEGATIVE, MASS: AnswerKind.POSITIVE, OEDEMA: AnswerKind.INDETERMINATE}
    scores = {kind: Measurement(codes.PROBABILITY, value, codes.PERCENT) for kind, value in (
        (AnswerKind.NEGATIVE, 12.0), (AnswerKind.POSITIVE, 72.0), (AnswerKind.INDETERMINATE, 44.0))}
    parts = tuple(
        Part(concept, found.category, found.site, kind, f"{concept.meaning}: {scores[kind].text()} against 50.0 %.", scores[kind],
             Criterion("default", codes.PROBABILITY, 50.0, codes.PERCENT)) for concept, kind in kinds.items())
    findings = tuple(
        replace(found, concept=part.concept, measurements=(scores[part.kind],), kind=part.kind,
                acr_category=2 if part.concept == MASS else None)
        for part in parts if part.kind is not AnswerKind.NEGATIVE)
    grave = gravest(parts)
    answer = Answer(grave.kind, joined(parts), grave.criterion, grave.measured, findings, parts=parts)
    return Case(replace(asked, answer=answer), files)


def multi_frame(matrix: int = 256) -> Case:
    """The slices as frames of one enhanced CT."""
    files, hu = study(matrix=matrix, slices=20)
    asked = request(files=files, hu=hu)
    whole = enhanced_ct(files)
    (header,) = headers([whole])
    (only,) = _analysis(AnswerKind.POSITIVE, [header]).inputs
    analysis = replace(asked.analysis, inputs=(only,), study_instance_uid=str(header.StudyInstanceUID))
    made = replace(
        asked, analysis=analysis, reference=header, sources=[header] * len(files), frames=tuple(range(1, len(files) + 1))
    )
    return Case(made, [whole])


def of_radiograph(
    rows: int = 2048, columns: int = 2500, *, mammogram: bool = False, inverted: bool = False, patient: Patient = UTF8
) -> Case:
    """One image without a place in the patient, and an opacity in it."""
    values, mask = breast(rows, columns) if mammogram else chest(rows, columns)
    values = 4095 - values if inverted else values
    file = radiograph(values, patient=patient, mammogram=mammogram, inverted=inverted)
    (header,) = headers([file])
    spacing_mm = float(header.ImagerPixelSpacing[0])
    across = Measurement(DIAMETER, float(np.flatnonzero(mask.any(axis=0)).size) * spacing_mm, codes.MILLIMETRE)
    site = BREAST if mammogram else LUNG
    finding = Finding(MASS, codes.MORPHOLOGICALLY_ALTERED_STRUCTURE, site, (across,), region="mass", key_slices=(0,))
    model = manifest()
    where = "breast" if mammogram else "lung"
    entries = {"concept": entry(MASS), "site": entry(site), "measurement": entry(DIAMETER), "unit": "mm"}
    model = model.model_copy(update={
        "id": f"mass-{where}", "name": f"Mass of the {where}", "finding": model.finding.model_copy(update=entries),
        "limitations": ("A phantom for tests. It says nothing of any patient.",),
    })  # fmt: skip
    answer = Answer(
        AnswerKind.POSITIVE, f"A mass of {across.value:.1f} mm across in the {where}, at or above 8.0 mm. Review it first.",
        criterion=Criterion("default", DIAMETER, 8.0, codes.MILLIMETRE), measured=across, findings=(finding,),
    )  # fmt: skip
    analysis = replace(_analysis(AnswerKind.POSITIVE, [header]), model_id=model.id)
    made = ResultRequest(
        analysis=analysis, answer=answer, manifest=model, reference=header, device=DEVICE, sources=[header],
        voxels=values[None], masks={"mass": mask[None]},
    )  # fmt: skip
    return Case(made, [file])


def boxed(case: Case, *spans: tuple[float, tuple[int, int], tuple[float, float], tuple[float, float]]) -> Case:
    """The finding of ``case`` as a detector tells it. ``spans``: of each box its score, the slices, and the rows and columns."""
    asked = case.asked
    (finding,) = asked.answer.findings
    assert finding.region is not None
    mask = np.zeros_like(asked.masks[finding.region])
    boxes = []
    for score, (first, end), (top, bottom), (left, right) in spans:
        mask[first:end, int(top):int(bottom), int(left):int(right)] = True
        boxes.append(PatientBox(Measurement(codes.CERTAINTY_OF_FINDING, score, codes.PERCENT), tuple(
            Rectangle(index, top, bottom, left, right) for index in range(first, end))))
    number = Measurement(codes.Code("X-NUMBER", "99EXAMPLE", "Number of spots"), float(len(boxes)), codes.COUNT)
    found = replace(finding, measurements=(number,), key_slices=())
    return Case(replace(
        asked, masks={finding.region: mask}, boxes={finding.region: tuple(boxes)},
        answer=replace(asked.answer, measured=number, criterion=None, findings=(found,))), case.files)


def boxes_of_ct(matrix: int = 512, outputs: frozenset[PermittedOutput] = EVERY_OUTPUT) -> Case:
    """Over soft tissue, across the bright skull, and at the edge of the image; one in a single slice, the others in several."""
    side = matrix / 512
    spans = [(62.4, (4, 8), (200, 262), (230, 300)), (91.3, (5, 6), (90.5, 160.5), (150.25, 221.25)),
             (55.0, (3, 9), (215, 280), (275, 330)), (58.8, (5, 7), (300, 380), (466, 512))]
    return boxed(of_study(matrix=matrix, slices=12, outputs=outputs), *(
        (score, slices, (rows[0] * side, rows[1] * side), (columns[0] * side, columns[1] * side))
        for score, slices, rows, columns in spans))


def boxes_of_radiograph(outputs: frozenset[PermittedOutput] = EVERY_OUTPUT) -> Case:
    case = of_radiograph()
    case = Case(replace(case.asked, manifest=manifest(outputs).model_copy(update={
        "id": case.asked.manifest.id, "name": case.asked.manifest.name, "finding": case.asked.manifest.finding})), case.files)
    return boxed(case, (88.0, (0, 1), (1210, 1420), (1640, 1850)), (61.5, (0, 1), (300, 620), (1100, 1420)),
                 (50.1, (0, 1), (900, 1100), (2300, 2500)))


def with_heat(case: Case) -> Case:
    """A probability that falls off from the middle of the finding."""
    asked = case.asked
    (mask,) = asked.masks.values()
    middle = np.argwhere(mask).mean(axis=0)
    spread = np.maximum(np.argwhere(mask).std(axis=0), 1) * 2
    axes = np.meshgrid(*(np.arange(count) for count in mask.shape), indexing="ij")
    distance = sum(((axis - at) / width) ** 2 for axis, at, width in zip(axes, middle, spread, strict=True))
    values = np.exp(-np.asarray(distance) / 2).astype(np.float32)
    return Case(replace(asked, heat_map=HeatMap("Probability", "", values, low=0.2, high=1.0)), case.files)


CASES: dict[str, Callable[[], Case]] = {
    **{kind.value: (lambda kind=kind: of_kind(kind)) for kind in AnswerKind},
    "two findings": two_findings,
    "several findings": several,
    "several not drawn": lambda: several(frozenset({PermittedOutput.NOTIFICATION, PermittedOutput.SCORE})),
    "oblique latin-1 512": lambda: of_study(patient=LATIN, matrix=512, slices=12, oblique=True),
    "japanese 256": lambda: of_study(patient=JAPANESE, matrix=256, slices=20),
    "utf-8": of_study,
    "cleared": lambda: of_study(status=RegulatoryStatus.CLEARED),
    "triage only": lambda: of_study(status=RegulatoryStatus.CLEARED, outputs=TRIAGE_ONLY),
    "multi-frame": multi_frame,
    "radiograph 2500": of_radiograph,
    "radiograph inverted": lambda: of_radiograph(1024, 1250, inverted=True, patient=LATIN),
    "mammogram": lambda: of_radiograph(1792, 1280, mammogram=True, patient=JAPANESE),
    "boxes 512": boxes_of_ct,
    "boxes on a radiograph": boxes_of_radiograph,
    "heat map": lambda: with_heat(of_study(matrix=512, slices=12)),
}
"""Every kind of answer, place, encoding and source. Matrices from 128 to 2500."""
