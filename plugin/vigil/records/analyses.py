"""The analyses: begun once, answered once, each knowing the one that it supersedes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.sql import Select

from vigil.domain.answer import Analysis, Answer, InputInstance, Reason
from vigil.records import places
from vigil.records.entries import FINISHED_ANALYSIS, UNFINISHED_ANALYSIS, AnalysisRecord, AnalysisState, FinishedObject
from vigil.records.errors import LedgerRefused
from vigil.records.objects import insert_objects, sealed_rows
from vigil.records.part import LedgerPart, reason_columns, reason_of
from vigil.records.tables import analysis

ANSWER = TypeAdapter(Answer)
INPUTS = TypeAdapter(tuple[InputInstance, ...])


class Analyses(LedgerPart):
    def begin_analysis(self, begun: Analysis, reference: bytes | None = None) -> Analysis:
        """The analysis as the ledger holds it: the first call freezes it, a later one with its id gets the frozen one.

        Predecessor and revision are found here, in the same transaction: the newest other analysis of the study and model
        that nothing supersedes yet becomes the predecessor, and is marked as superseded. (Not one that ended early: it said
        nothing to anybody.) ``reference``: the file of its reference image up to the pixels, kept sealed until
        :meth:`purge_object_bytes`.
        """
        sealed = None if reference is None else self._sealer.seal(reference, places.of_reference(begun.analysis_id))
        with self._database.write() as connection:
            held = _row(connection, begun.analysis_id)
            if held is not None:
                return _analysis(held)
            before = connection.execute(
                select(analysis.c.analysis_id, analysis.c.revision)
                .where(analysis.c.study_id == begun.orthanc_study_id, analysis.c.model_id == begun.model_id,
                       analysis.c.superseded_by.is_(None), analysis.c.state != "ended-early")
                .order_by(analysis.c.sequence.desc())
                .limit(1)
            ).one_or_none()
            frozen = replace(begun, predecessor_id=before.analysis_id if before else None,
                             revision=before.revision + 1 if before else 1)
            connection.execute(analysis.insert().values(
                state="pending", sealed_reference=sealed, **_columns(frozen)))
            if before:
                connection.execute(update(analysis).where(analysis.c.analysis_id == before.analysis_id)
                                   .values(superseded_by=frozen.analysis_id))
            return _analysis(_present(connection, begun.analysis_id))

    def analysis(self, analysis_id: str) -> AnalysisRecord | None:
        with self._database.read() as connection:
            row = _row(connection, analysis_id)
            return None if row is None else _record(row)

    def reference_head(self, analysis_id: str) -> bytes | None:
        """The file of the reference image up to its pixels; None where the ledger does not hold it, or no longer."""
        query = select(analysis.c.sealed_reference).where(analysis.c.analysis_id == analysis_id)
        with self._database.read() as connection:
            sealed: bytes | None = connection.execute(query).scalar_one_or_none()
        return None if sealed is None else self._sealer.unseal(sealed, places.of_reference(analysis_id))

    def analyses(self, study_id: str) -> list[AnalysisRecord]:
        """Of a study, oldest first."""
        return self._records(select(analysis).where(analysis.c.study_id == study_id).order_by(analysis.c.sequence))

    def recent_analyses(self, limit: int) -> list[AnalysisRecord]:
        """Newest first."""
        return self._records(select(analysis).order_by(analysis.c.sequence.desc()).limit(limit))

    def unfinished_analyses(self, states: Collection[str] = UNFINISHED_ANALYSIS) -> list[AnalysisRecord]:
        """Those that still have work to do, oldest first."""
        return self._records(select(analysis).where(analysis.c.state.in_(list(states))).order_by(analysis.c.sequence))

    def studies_with_uid(self, study_instance_uid: str) -> list[str]:
        """Orthanc ids of the analysed studies that bear this StudyInstanceUID."""
        query = select(analysis.c.study_id).where(analysis.c.study_instance_uid == study_instance_uid).distinct()
        with self._database.read() as connection:
            return sorted(connection.execute(query).scalars())

    def set_analysis_state(self, analysis_id: str, state: AnalysisState, reason: Reason | None = None) -> None:
        """``finished_at`` is the first moment in a state that ends the analysis."""
        with self._database.write() as connection:
            row = _present(connection, analysis_id)
            finished = (row.finished_at or self._clock.now()) if state in FINISHED_ANALYSIS else None
            connection.execute(update(analysis).where(analysis.c.analysis_id == analysis_id).values(
                state=state, finished_at=finished, **reason_columns("reason", reason)))

    def freeze_answer(self, analysis_id: str, answer: Answer, objects: Sequence[FinishedObject]) -> Answer:
        """Keeps the answer and the result objects in one transaction: all, or after a kill nothing.

        The first call for an analysis freezes both and sets its state to "answered"; a later one changes nothing. Returns
        the answer that is frozen.
        """
        text = ANSWER.dump_json(answer).decode()
        if _answer(text) != answer:
            raise LedgerRefused(f"the answer of analysis {analysis_id} does not survive being written down (is a number of it "
                                "not finite?)")
        rows = sealed_rows(self._sealer, analysis_id, objects)  # before the transaction: other writers do not wait for it
        with self._database.write() as connection:
            held = _present(connection, analysis_id)
            if held.answer is not None:
                return _answer(held.answer)
            insert_objects(connection, rows)
            connection.execute(update(analysis).where(analysis.c.analysis_id == analysis_id)
                               .values(answer=text, state="answered"))
        return answer

    def _records(self, query: Select[Any]) -> list[AnalysisRecord]:
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]


def _row(connection: Connection, analysis_id: str) -> Row[Any] | None:
    return connection.execute(select(analysis).where(analysis.c.analysis_id == analysis_id)).one_or_none()


def _present(connection: Connection, analysis_id: str) -> Row[Any]:
    row = _row(connection, analysis_id)
    if row is None:
        raise LedgerRefused(f"the ledger holds no analysis {analysis_id}")
    return row


def _columns(frozen: Analysis) -> dict[str, object]:
    return {
        "analysis_id": frozen.analysis_id, "study_id": frozen.orthanc_study_id,
        "study_instance_uid": frozen.study_instance_uid, "model_id": frozen.model_id, "model_version": frozen.model_version,
        "weights_sha256": frozen.weights_sha256, "operating_point": frozen.operating_point,
        "renderer_version": frozen.renderer_version, "settings_sha256": frozen.settings_sha256,
        "inputs_sha256": frozen.inputs_sha256, "inputs": INPUTS.dump_json(frozen.inputs).decode(),
        "created_at": frozen.created_at, "arrived_at": frozen.arrived_at, "study_started_at": frozen.study_started_at,
        "correlation_id": frozen.correlation_id, "stage": frozen.stage,
        "predecessor_id": frozen.predecessor_id, "revision": frozen.revision, **reason_columns("refusal", frozen.refusal),
        "reference_instance": frozen.reference_instance,
    }


def _analysis(row: Row[Any]) -> Analysis:
    return Analysis(
        analysis_id=row.analysis_id, orthanc_study_id=row.study_id, study_instance_uid=row.study_instance_uid,
        model_id=row.model_id, model_version=row.model_version, weights_sha256=row.weights_sha256,
        operating_point=row.operating_point, renderer_version=row.renderer_version, settings_sha256=row.settings_sha256,
        inputs_sha256=row.inputs_sha256, inputs=INPUTS.validate_json(row.inputs), created_at=row.created_at,
        correlation_id=row.correlation_id, stage=row.stage, predecessor_id=row.predecessor_id, revision=row.revision,
        refusal=reason_of(row, "refusal"), arrived_at=row.arrived_at, study_started_at=row.study_started_at,
        reference_instance=row.reference_instance,
    )


def _record(row: Row[Any]) -> AnalysisRecord:
    return AnalysisRecord(
        analysis=_analysis(row), state=row.state, answer=None if row.answer is None else _answer(row.answer),
        superseded_by=row.superseded_by, finished_at=row.finished_at, reason=reason_of(row, "reason"),
    )


def _answer(text: str) -> Answer:
    try:
        return ANSWER.validate_json(text)
    except ValidationError as error:
        raise LedgerRefused(f"an answer of the ledger cannot be read: {error.error_count()} faults") from error
