"""What people do with alerts: acknowledge, hold, withdraw, send again, say that the final report is known. By the command
line (beside a running Orthanc), over REST, by a link, by a webhook's answer: one place for all, so that ledger and audit say the
same.

Everything here is a row in the ledger. The running Vigil asks it before each attempt, and finds within seconds what was reopened.
"""

from __future__ import annotations

from vigil.domain.clock import Clock
from vigil.pipeline.errors import AlertUnchanged, AlertUnknown
from vigil.pipeline.retract import Retractor
from vigil.pipeline.told import newer_analyses
from vigil.records.audit import Audit
from vigil.records.entries import OPEN, RESTORE, RETRACTION, WAITING, CriticalResult, PersonAcknowledgement
from vigil.records.ledger import Ledger
from vigil.records.retractions import RetractionKind

SHORTEST_ID = 6


class AlertDesk:
    """``by`` is the name of a member of the staff, as :func:`vigil.delivery.escalation.person.staff_name` gives it."""

    def __init__(self, ledger: Ledger, audit: Audit, clock: Clock) -> None:
        self._ledger = ledger
        self._audit = audit
        self._clock = clock
        self._retractor = Retractor(ledger, audit, clock)

    def find(self, beginning: str) -> CriticalResult:
        """The alert whose id begins so. Raises :class:`AlertUnknown`."""
        found = self._ledger.criticals_named(beginning) if len(beginning) >= SHORTEST_ID else []
        if len(found) == 1:
            return found[0]
        if found:
            raise AlertUnknown(f"more than one alert begins with {beginning}; give more of its id")
        raise AlertUnknown(f"there is no alert {beginning}; \"vigil alerts list\" shows them ({SHORTEST_ID} characters will do)")

    def acknowledge(self, analysis_id: str, by: str, method: str, *, channel: str | None = None,
                    link_id: str | None = None) -> bool:
        """A person has received the result. False where somebody had before."""
        first = self._ledger.acknowledge(
            PersonAcknowledgement(analysis_id, by, method, channel, self._clock.now()), link_id)
        if first:
            self._audit.append("critical-acknowledged", analysis_id, actor=by, role="person",
                               evidence={"method": method, "channel": channel})
        return first

    def hold(self, analysis_id: str, by: str) -> None:
        """Nothing more of this alert leaves the house. Raises :class:`AlertUnchanged` where it is held already."""
        if not self._ledger.put_on_hold(analysis_id, by, self._clock.now()):
            raise AlertUnchanged("the alert is held already")
        self._look_again(analysis_id)
        self._audit.append("alert-held", analysis_id, actor=by, role="person", evidence={})

    def reported(self, analysis_id: str, by: str) -> None:
        """The final report of its study is known. Raises :class:`AlertUnchanged` where that was known."""
        record = self._ledger.analysis(analysis_id)
        if record is None or not self._ledger.put_on_hold(record.analysis.orthanc_study_id, by, self._clock.now()):
            raise AlertUnchanged("the final report of its study is known already")
        for each in self._ledger.analyses(record.analysis.orthanc_study_id):
            self._look_again(each.analysis.analysis_id)
        self._audit.append("study-reported", analysis_id, actor=by, role="person", evidence={})

    def withdraw(self, analysis_id: str, by: str, kind: RetractionKind) -> None:
        """The result does not stand: whoever was told of it, by HL7, mail or webhook, is told so. Raises :class:`AlertUnchanged`
        where that was done, or where a newer answer of the study was told and stands for it."""
        record = self._ledger.analysis(analysis_id)
        if record is None or self._ledger.retraction(analysis_id) is not None:
            raise AlertUnchanged("the alert was withdrawn before")
        told = [later for later in newer_analyses(self._ledger, record) if self._ledger.told(later.analysis.analysis_id)]
        if told:
            raise AlertUnchanged("a newer analysis of the study replaced it, and was told; that one is "
                                 f"{told[-1].analysis.analysis_id[:12]}")
        chain = [each for each in self._ledger.analyses(record.analysis.orthanc_study_id)
                 if each.analysis.model_id == record.analysis.model_id and each.analysis.revision <= record.analysis.revision]
        self._retractor.retract(chain, kind, by)

    def resend(self, analysis_id: str, by: str) -> int:
        """Lets a held alert go, and sends what was parked, held or suppressed again; of one that was withdrawn, its withdrawal
        alone. Returns how many deliveries were reopened. Raises :class:`AlertUnchanged` where there is nothing to send again."""
        record = self._ledger.analysis(analysis_id)
        withdrawn = self._ledger.retraction(analysis_id) is not None
        if not withdrawn and record is not None and self._ledger.held(record.analysis.orthanc_study_id) is not None:
            raise AlertUnchanged("the final report of its study is known, so its alerts stay in the house")
        released = not withdrawn and self._ledger.release(analysis_id)
        now = self._clock.now()
        if released:
            self._ledger.reopen_critical(analysis_id, now)
        alerts = [item for item in self._ledger.deliveries(analysis_id)
                  if item.kind == "hl7" and (item.purpose == RETRACTION or not withdrawn)]
        reopened = [item.delivery_id for item in alerts if self._ledger.reopen_delivery(item.delivery_id, now)]
        if not released and not reopened:
            raise AlertUnchanged("its messages are on their way already" if any(item.state == WAITING for item in alerts)
                                 else "there is nothing to send again: no message of it is parked, held or suppressed")
        self._audit.append("alert-resent", analysis_id, actor=by, role="person", evidence={"deliveries": len(reopened)})
        return len(reopened)

    def _look_again(self, analysis_id: str) -> None:
        """Its ladder is due: whether it ends now is the running Vigil's to say, also of one that was climbed to its end."""
        critical = self._ledger.critical(analysis_id)
        if critical is not None and critical.state == OPEN:
            self._ledger.plan_critical(analysis_id, critical.counted_from, self._clock.now())

    def resend_delivery(self, delivery_id: str, by: str) -> None:
        """One delivery, to a PACS or a RIS. Raises :class:`AlertUnknown`, and :class:`AlertUnchanged` where it was delivered or
        waits."""
        delivery = self._ledger.delivery(delivery_id)
        if delivery is None:
            raise AlertUnknown(f"there is no delivery {delivery_id}; \"vigil deliveries list\" shows them")
        held = self._ledger.held(delivery.analysis_id)
        if held is not None and held.by == RESTORE and self._ledger.critical(delivery.analysis_id) is None:
            self._ledger.release(delivery.analysis_id)  # no alert bears it, so nothing else could let it go
        if not self._ledger.reopen_delivery(delivery_id, self._clock.now()):
            raise AlertUnchanged(f"it is {delivery.state}: only what was parked, held or suppressed is sent again")
        self._audit.append("delivery-resent", delivery.analysis_id, actor=by, role="person",
                           evidence={"destination": delivery.destination})
