"""Takes back what was told: by a person's word, or where the same images come again under another patient id.

A study that is deleted, and a model that is switched off, take nothing back: an Orthanc deletes its oldest studies by itself when
its disk is full, and a finding stays true when its images have gone or its model is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from vigil.domain.answer import Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.domain.gateway import Gateway, StudyRecord
from vigil.records.audit import Audit
from vigil.records.entries import AnalysisRecord, Retraction
from vigil.records.ledger import Ledger
from vigil.records.retractions import RetractionKind
from vigil.telemetry.logs import Log

ANOTHER_PATIENT = "the same images came again under another patient id"


def cause_of(retraction: Retraction) -> str:
    """For people. Names nobody but the member of the staff who took it back."""
    if retraction.by is not None:
        return f"taken back by {retraction.by}"
    return ANOTHER_PATIENT


class Retractor:
    def __init__(self, ledger: Ledger, audit: Audit, clock: Clock) -> None:
        self._ledger = ledger
        self._audit = audit
        self._clock = clock

    def retract(self, records: Iterable[AnalysisRecord], kind: RetractionKind, by: str | None = None) -> list[str]:
        """``records``: of one study and model, oldest first. Returns the ids of those that were not taken back before."""
        now = self._clock.now()
        ids = [record.analysis.analysis_id for record in records]
        why = Reason(Category.POLICY, f"its result no longer stands: {cause_of(Retraction('', kind, by, now))}")
        taken = self._ledger.retract(ids, kind, by, why, now)
        for each in taken:
            self._audit.append("alert-withdrawn", each, actor=by or "vigil", role="system" if by is None else "person",
                               evidence={"kind": kind})
        return taken


class OtherPatients:
    """Finds what was told of a study under another patient id. Orthanc makes the id of a study from the patient's id and the
    StudyInstanceUID, so a corrected patient is a second study with the same UID."""

    def __init__(self, *, gateway: Gateway, ledger: Ledger, retractor: Retractor, log: Log) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._retractor = retractor
        self._log = log

    def look(self, study: StudyRecord, sop_instance_uids: Iterable[str]) -> None:
        """``sop_instance_uids``: of the images of the study. The newer of the two patients counts. That one UID was given to two
        studies by a scanner's fault is told apart: then no image is in both, and both are there."""
        others = [name for name in self._ledger.studies_with_uid(study.study_instance_uid) if name != study.orthanc_id]
        if not others:
            return
        first_seen, images = self._ledger.first_decision_at(study.orthanc_id), set(sop_instance_uids)
        for other in others:
            gone = self._gateway.study(other) is None
            older = [record for record in self._ledger.analyses(other)
                     if first_seen is None or record.analysis.created_at < first_seen]
            if not any(gone or images & {item.sop_instance_uid for item in record.analysis.inputs} for record in older):
                continue
            older.sort(key=lambda record: (record.analysis.model_id, record.analysis.revision))
            for _, of_model in groupby(older, key=lambda record: record.analysis.model_id):
                if taken := self._retractor.retract(of_model, "wrong-patient"):
                    self._log.warning("patient-corrected", study=study.orthanc_id, before=other, analyses=len(taken))
