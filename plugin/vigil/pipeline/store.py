"""Puts the frozen objects of an analysis into Orthanc, once, and promises their deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vigil.domain.answer import Analysis, AnswerKind, Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category, Stopping
from vigil.domain.gateway import Gateway, GatewayError, StoreFiltered
from vigil.domain.identity import delivery_id
from vigil.pipeline.analyse import end_deleted
from vigil.pipeline.deliver import FORWARD, pacs_queue, purge_sealed, rank
from vigil.pipeline.engine import Task, Verdict
from vigil.pipeline.escalate import Escalations
from vigil.pipeline.permission import ModelMissing, Permission
from vigil.pipeline.promise import AlertPromises
from vigil.pipeline.retry import Backoff
from vigil.pipeline.told import replaces_a_positive
from vigil.records.audit import Audit
from vigil.records.entries import ENDED_UNANSWERED, RESTORE, AnalysisRecord, ResultKind
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics


@dataclass(frozen=True)
class _Stored:
    """``objects``: how many lie in Orthanc. ``kept_out``: why others do not. ``study_gone``: it was deleted, and nothing of ours
    brings it back."""

    objects: int
    kept_out: StoreFiltered | None = None
    study_gone: bool = False


class Storer:
    """The worker of the storage queue. The objects' bytes were frozen with the answer, so a replay stores the same."""

    def __init__(
        self, *, gateway: Gateway, ledger: Ledger, audit: Audit, settings: Settings, permission: Permission,
        alerts: AlertPromises, escalations: Escalations, backoff: Backoff, clock: Clock, log: Log, metrics: Metrics,
        restored_at: datetime | None = None,
    ) -> None:
        """``restored_at``: when the state was put back from a backup; None where it never was."""
        self._gateway = gateway
        self._ledger = ledger
        self._audit = audit
        self._settings = settings
        self._permission = permission
        self._alerts = alerts
        self._escalations = escalations
        self._backoff = backoff
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._restored_at = restored_at

    def __call__(self, subject: str, attempt: int) -> Verdict:
        """``subject``: an analysis id."""
        record = self._ledger.analysis(subject)
        if record is None or record.answer is None or record.state in ENDED_UNANSWERED:
            return Verdict()
        analysis = record.analysis
        log = self._log.bind(correlation_id=analysis.correlation_id, analysis=subject)
        if record.state != "stored":
            try:
                allowed = self._permission.to_store(analysis, record.answer)
                if not allowed.allowed:
                    self._ledger.set_analysis_state(
                        subject, "shadow", Reason(allowed.category or Category.POLICY, allowed.reason))
                    purge_sealed(self._ledger, subject)
                    log.info("store-withheld")
                    return Verdict()
                with self._metrics.stage("store"):
                    stored = self._store(analysis)
                # owed before it counts as done: the reconciler looks at nothing else
                leaves = not stored.study_gone or self._settings.deleted_studies == "deliver"
                deliveries = self._deliveries(record) if leaves else ()
                if stored.kept_out is not None and not deliveries:
                    raise stored.kept_out  # nobody would get them: they wait until somebody has mended the filter
            except Stopping:
                return Verdict(retry_after_s=1.0)
            except (GatewayError, ModelMissing) as error:
                self._ledger.set_analysis_state(subject, "answered", Reason(error.category, error.message))
                self._metrics.error("storage", error.category.value)
                log.warning("store-waits", category=error.category.value, attempt=attempt)
                return Verdict(retry_after_s=self._backoff.delay_s(attempt))
            if stored.study_gone:
                end_deleted(self._ledger, self._audit, analysis, self._clock, delivered=bool(deliveries))
                log.info("study-deleted", deliveries=len(deliveries))
                return Verdict(follow=deliveries)
            if record.answer.kind.analysed:
                self._label(analysis, log)
            self._ledger.set_analysis_state(subject, "stored", self._told_kept_out(stored.kept_out, log))
            if not deliveries:
                purge_sealed(self._ledger, subject)
            self._audit.append("stored", subject, actor="vigil", role="system", evidence={"objects": stored.objects})
            log.info("stored", objects=stored.objects)
            if analysis.arrived_at is not None:
                self._metrics.notified("stored", (self._clock.now() - analysis.arrived_at).total_seconds())
            return Verdict(follow=deliveries)
        return Verdict(follow=self._deliveries(record))

    def _store(self, analysis: Analysis) -> _Stored:
        objects = self._ledger.objects(analysis.analysis_id)
        kept_out: StoreFiltered | None = None
        stored = 0
        for item in objects:
            if item.stored_at is None:
                if self._gateway.study(analysis.orthanc_study_id) is None:
                    return _Stored(stored, kept_out, study_gone=True)
                content = self._ledger.object_bytes(item.sop_instance_uid)
                if content is None:
                    continue
                try:
                    outcome = self._gateway.store(content)
                except StoreFiltered as error:
                    kept_out = error
                    continue
                self._ledger.mark_object_stored(item.sop_instance_uid, outcome.orthanc_id, self._clock.now())
            stored += 1
        return _Stored(stored, kept_out)

    def _told_kept_out(self, error: StoreFiltered | None, log: Log) -> Reason | None:
        """A site that keeps our objects out of its Orthanc has its destinations all the same: an alert does not wait for it."""
        if error is None:
            return None
        self._metrics.error("storage", error.category.value)
        log.warning("objects-kept-out", category=error.category.value)
        return Reason(error.category, error.message)

    def _label(self, analysis: Analysis, log: Log) -> None:
        """A convenience for lists of studies, which no result waits for."""
        label = self._settings.analysed_label
        if label is None:
            return
        try:
            kept = self._gateway.label(analysis.orthanc_study_id, label)
        except GatewayError as error:
            self._metrics.error("label", error.category.value)
            log.warning("label-refused", category=error.category.value)
        else:
            if not kept:
                log.info("label-not-kept", reason="this Orthanc knows no labels, or the study is gone")

    def _deliveries(self, record: AnalysisRecord) -> tuple[Task, ...]:
        tasks: list[Task] = []
        analysis, now = record.analysis, self._clock.now()
        assert record.answer is not None  # noqa: S101 - its callers look
        kinds: dict[str, ResultKind] = dict.fromkeys(self._settings.pacs, "dicom")
        kinds |= dict.fromkeys(self._settings.dicom_web, "stow-rs")
        for name, kind in kinds.items():
            identity = delivery_id(name, analysis.analysis_id, analysis.revision)
            self._ledger.begin_delivery(identity, name, kind, analysis.analysis_id, analysis.revision, now)
            tasks.append(Task(FORWARD, identity, pacs_queue(name), priority=rank(analysis, record.answer)))
        self._hold_what_may_have_been_told(record)
        told_later = self._settings.escalation.told()
        tasks += [self._alerts.promise(record, name) for name in self._settings.ris if name not in told_later]
        return (*tasks, *self._escalations.begin(record))

    def _hold_what_may_have_been_told(self, record: AnalysisRecord) -> None:
        """Before its first alert is promised: of a study that had arrived before the state was put back from a backup, the alert
        may have gone out already, after the copy was made. A person lets it go. An answer that is no alarm is held where it was
        begun before the restore: late images may have brought a positive since, which it would hide."""
        analysis = record.analysis
        if self._restored_at is None or (analysis.arrived_at or analysis.created_at) > self._restored_at:
            return
        if not _is_alarm(record) and (analysis.created_at > self._restored_at or self._corrects(record)):
            return
        promised = any(item.kind == "hl7" for item in self._ledger.deliveries(analysis.analysis_id))
        if not promised and self._ledger.critical(analysis.analysis_id) is None:
            self._ledger.put_on_hold(analysis.analysis_id, RESTORE, self._clock.now())

    def _corrects(self, record: AnalysisRecord) -> bool:
        return any(replaces_a_positive(self._ledger, name, record) for name in self._settings.ris)


def _is_alarm(record: AnalysisRecord) -> bool:
    return record.answer is not None and record.answer.kind is AnswerKind.POSITIVE
