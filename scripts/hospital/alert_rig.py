"""The way of an alert without Orthanc and without a model: a ledger, its outbox and the client of a RIS, and findings to put in.

For measurements and long tests, in which thousands of findings are wanted in minutes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, timedelta
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from vigil.domain.answer import Analysis, Answer, AnswerKind, Criterion, Finding, Measurement
from vigil.domain.clock import Clock
from vigil.domain.codes import (
    BRAIN,
    HYPERDENSE_REGION,
    HYPERDENSE_VOLUME,
    MILLILITRE,
    MORPHOLOGICALLY_ALTERED_STRUCTURE,
)
from vigil.domain.gateway import Gateway
from vigil.domain.identity import digest
from vigil.inference.registry import Registry
from vigil.pipeline.alert import ToRis
from vigil.pipeline.deliver import Courier
from vigil.pipeline.engine import Task
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.pipeline.outbox import Outboxes
from vigil.pipeline.permission import Permission
from vigil.pipeline.promise import AlertPromises
from vigil.pipeline.reference import References
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.settings import load
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

MODEL = "hyperdense-volume-ct-head"
OVERRIDE = {"By": "The bench", "Reason": "A measurement", "Date": "2026-11-26"}


class OneImageEach:
    """As much of Orthanc as an alert needs: an instance "P7|A3" is of patient P7 and of the order A3."""

    def dicom(self, instance: str) -> bytes:
        patient, order = instance.split("|")
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
        image.PatientName, image.PatientID, image.AccessionNumber, image.Modality = f"Sample^{patient}", patient, order, "CT"
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        buffer = BytesIO()
        dcmwrite(buffer, image, enforce_file_format=True)
        return buffer.getvalue()


class AlertRig:
    """``port``: of a RIS on this machine, which the settings call "ris". ``retry``: the section Retry."""

    def __init__(self, folder: Path, port: int, clock: Clock, retry: Mapping[str, Any]) -> None:
        settings = load({"Vigil": {
            "SchemaVersion": 1, "StateDirectory": str(folder), "Models": {MODEL: {"Stage": "live", "AlertOverride": OVERRIDE}},
            "Ris": {"ris": {"Host": "127.0.0.1", "Port": port, "TimeoutSeconds": 20}}, "Retry": dict(retry)}})
        models = {model.model_id: model for model in Registry(BUNDLED_MODELS).installed()}
        self._clock = clock
        self.ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite", Sealer.open(folder / "sealing.key"), clock)
        permission = Permission(settings, models, clock.now() - timedelta(days=1))
        references = References(cast(Gateway, OneImageEach()), self.ledger, settings)
        self._to_ris = ToRis(references=references, ledger=self.ledger, settings=settings, permission=permission, models=models,
                             clock=clock, stop=threading.Event())
        courier = Courier(bring=self._to_ris, notified="alerted", ledger=self.ledger, audit=Audit(self.ledger),
                          retry=settings.retry, clock=clock, log=Log(logging.getLogger("alert-rig")), metrics=Metrics())
        self.outboxes = Outboxes(courier=courier, ledger=self.ledger, settings=settings, clock=clock)
        self._promises = AlertPromises(references=references, ledger=self.ledger, clock=clock)

    def __enter__(self) -> AlertRig:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._to_ris.close()
        self.ledger.close()

    def find(self, number: int, category: int | None, order: str) -> Task:
        """A positive answer of a patient of this number, of an ACR category; the task that alerts."""
        analysis_id, now = digest("rig", str(number))[:32], self._clock.now()
        self.ledger.begin_analysis(Analysis(
            analysis_id=analysis_id, orthanc_study_id=f"study-{number}", study_instance_uid=f"1.2.826.0.1.{number}",
            model_id=MODEL, model_version="1.0.0", weights_sha256="w", operating_point="default", renderer_version="1",
            settings_sha256="s", inputs_sha256=str(number), inputs=(), created_at=now, correlation_id="c", stage="live",
            arrived_at=now, study_started_at=now.astimezone(UTC), reference_instance=f"P{number}|{order}"))
        volume = Measurement(HYPERDENSE_VOLUME, 19.9, MILLILITRE)
        finding = Finding(HYPERDENSE_REGION, MORPHOLOGICALLY_ALTERED_STRUCTURE, BRAIN, (volume,), acr_category=category)
        self.ledger.freeze_answer(analysis_id, Answer(
            AnswerKind.POSITIVE, "Hyperdense volume 19.9 mL, at or above the threshold of 5.0 mL.",
            Criterion("default", HYPERDENSE_VOLUME, 5.0, MILLILITRE), volume, (finding,)), [])
        record = self.ledger.analysis(analysis_id)
        assert record is not None
        return self._promises.promise(record, "ris")
