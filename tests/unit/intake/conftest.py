"""Studies for the intake tests: real DICOM of a small matrix, and an Orthanc that is a dictionary."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset

from hospital.ct_series import Acquisition, Patient, ct_series, dicom_bytes
from vigil.domain.answer import Reason
from vigil.domain.gateway import Change, ChangesPage, InstanceRecord, OrthancSystem, StoreOutcome, StudyRecord
from vigil.domain.manifest import Manifest
from vigil.intake.errors import UnreadableInstance
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.study import StudyContent

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
PATIENT = Patient()


def make_ct(
    slices: int = 40, *, seed: str = "head", declared: bool = False, spacing_mm: float = 4.0, patient: Patient = PATIENT,
    **acquisition: object,
) -> list[Dataset]:
    """A CT series of 8 x 8 pixels, every slice another picture."""
    hu = np.random.default_rng(list(seed.encode())).integers(-1000, 1000, (slices, 8, 8))
    made = Acquisition(
        seed=seed, spacing_mm=(spacing_mm, 1.0, 1.0), study_seed="study", declare_images=declared,
        started=NOW.replace(tzinfo=None),
    )
    return list(ct_series(hu, replace(made, **acquisition), patient))


def make_headers(datasets: Iterable[Dataset]) -> list[ImageHeader]:
    headers = []
    for ds in datasets:
        data = dicom_bytes(ds)
        headers.append(read_header(hashlib.sha1(data).hexdigest(), data))
    return headers


def make_content(items: Iterable[Dataset | bytes | ImageHeader], **more: object) -> StudyContent:
    headers: list[ImageHeader] = []
    unreadable: list[tuple[str, Reason]] = []
    for index, item in enumerate(items):
        if isinstance(item, ImageHeader):
            headers.append(item)
            continue
        try:
            data = item if isinstance(item, bytes) else dicom_bytes(item)
            headers.append(read_header(f"instance-{index}", data))
        except UnreadableInstance as error:
            unreadable.append((f"instance-{index}", Reason(error.category, error.message)))
    headers.sort(key=lambda header: header.sop_instance_uid)
    return StudyContent("study", "1.2.3", tuple(headers), tuple(unreadable), **more)


def make_manifest(scope: dict[str, object] | None = None, **series_input: object) -> Manifest:
    """An adult head CT model that needs 20 slices over 100 mm and gives up after ten minutes."""
    code = {"value": "1", "scheme": "99T", "meaning": "Test"}
    return Manifest.model_validate({
        "schema_version": 1, "id": "test-model", "version": "1.0.0", "name": "Test", "vendor": "Test", "licence": "MIT",
        "summary": "Test", "files": {"model.onnx": "0" * 64},
        "regulatory": {
            "status": "research", "intended_use": "For the tests of the intake alone.",
            "permitted_outputs": ["measurement"],
        },
        "scope": {
            "modality": ["CT"], "body_part": {"any_of": ["HEAD", "BRAIN", "SKULL"], "words": ["head", "schädel"]},
            "age_years": {"minimum": 18},
        } | (scope or {}),
        "inputs": [{
            "name": "ct", "minimum_slices": 20, "minimum_coverage_mm": 100.0, "give_up_after_s": 600,
        } | series_input],
        "preprocessing": {"spacing_mm": [1, 1, 1]},
        "network": {"file": "model.onnx", "input": "x", "outputs": ["y"]},
        "postprocessing": {
            "kind": "hyperdense-volume", "cavity_output": "y", "band_output": "y", "region": "r",
            "minimum_component_ml": 0, "plausible_cavity_ml": {},
        },
        "operating_points": {"default": {"positive": 1.0}},
        "finding": {
            "concept": code, "category": code, "site": code, "measurement": code, "unit": "mL", "positive": "p",
            "negative": "n", "indeterminate": "i",
        },
        "limitations": ["none"], "changes": {},
    })


class Shelf:
    """Orthanc as far as intake asks of it: studies of files, each under its id. Held to the Protocol by mypy."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, tuple[str, bytes]]] = {}
        self.study_uids: dict[str, str] = {}
        self.vanish_when_read: set[str] = set()
        self.lost: set[str] = set()
        """Listed, and without a file."""
        self.fetched: list[str] = []
        self.names_files = True

    def put(self, study: str, datasets: Sequence[Dataset], *, uid: str = "1.2.3") -> None:
        self.study_uids[study] = uid
        for ds in datasets:
            data = dicom_bytes(ds)
            self.files.setdefault(study, {})[f"{study}/{ds.SOPInstanceUID}"] = (str(ds.SOPInstanceUID), data)

    def system(self) -> OrthancSystem:
        return OrthancSystem("shelf", "1", "SHELF", False, 1)

    def changes(self, since: int, limit: int) -> ChangesPage:
        return ChangesPage(list[Change](), since, True)

    def last_change(self) -> int:
        return 0

    def study_of(self, instance_orthanc_id: str) -> str | None:
        if instance_orthanc_id in self.vanish_when_read:
            return None
        return instance_orthanc_id.split("/", maxsplit=1)[0]

    def sender(self, instance_orthanc_id: str) -> str:
        return ""

    def study(self, orthanc_study_id: str) -> StudyRecord | None:
        if orthanc_study_id not in self.files:
            return None
        return StudyRecord(orthanc_study_id, self.study_uids[orthanc_study_id], "patient", NOW, True)

    def studies_with_uid(self, study_instance_uid: str) -> list[str]:
        return [study for study in self.files if self.study_uids[study] == study_instance_uid]

    def instances(self, orthanc_study_id: str) -> list[InstanceRecord]:
        return [self._record(key, uid, data) for key, (uid, data) in self.files.get(orthanc_study_id, {}).items()]

    def instance(self, instance_orthanc_id: str) -> InstanceRecord | None:
        held = self.files.get(instance_orthanc_id.split("/", maxsplit=1)[0], {}).get(instance_orthanc_id)
        return None if held is None else self._record(instance_orthanc_id, *held)

    def study_of_series(self, series_orthanc_id: str) -> str | None:
        return series_orthanc_id.removeprefix("series of ")

    def _record(self, key: str, uid: str, data: bytes) -> InstanceRecord:
        """A file has a name of its own, as in Orthanc, unless this shelf names none."""
        name = hashlib.sha256(data).hexdigest() if self.names_files else ""
        return InstanceRecord(key, uid, "series of " + key.split("/", maxsplit=1)[0], name)

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        self.fetched.append(instance_orthanc_id)
        if instance_orthanc_id in self.vanish_when_read | self.lost:
            return None
        return self.files[instance_orthanc_id.split("/", maxsplit=1)[0]][instance_orthanc_id][1]

    def store(self, dicom: bytes) -> StoreOutcome:
        raise NotImplementedError


@pytest.fixture(scope="session")
def ct() -> Callable[..., list[Dataset]]:
    return make_ct


@pytest.fixture(scope="session")
def headers_of() -> Callable[[Iterable[Dataset]], list[ImageHeader]]:
    return make_headers


@pytest.fixture(scope="session")
def content_of() -> Callable[..., StudyContent]:
    return make_content


@pytest.fixture(scope="session")
def manifest() -> Callable[..., Manifest]:
    return make_manifest


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="session")
def now() -> dt.datetime:
    return NOW


@pytest.fixture(scope="session")
def head_headers() -> tuple[ImageHeader, ...]:
    """Forty slices, 4 mm apart, in the order of space."""
    return tuple(make_headers(make_ct(40)))
