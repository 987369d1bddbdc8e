"""Asks a PACS to confirm that it keeps what it took, and takes its answers, whichever way they come."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

from vigil.delivery.commitment import CommitmentReport, Listener, request_commitment
from vigil.delivery.destination import PacsDestination, pacs_destination
from vigil.delivery.errors import ListenerNotOpened
from vigil.delivery.status import status_text
from vigil.domain.clock import Clock
from vigil.pipeline.deliver import Unconfirmed
from vigil.records.entries import DeliveryRecord, ObjectRecord
from vigil.records.ledger import Ledger
from vigil.settings import Settings
from vigil.telemetry.logs import Log


class Confirmations:
    """An object counts as delivered once the PACS has confirmed it; one that the PACS does not keep is sent again."""

    def __init__(self, *, ledger: Ledger, settings: Settings, clock: Clock, stop: threading.Event, log: Log) -> None:
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._log = log
        self._missing: str | None = None
        self._listener = self._make_listener(settings)

    def start(self) -> None:
        """Opens the listener, where the site has set one. A port that cannot be opened stops nothing else (law 1)."""
        if self._listener is None:
            return
        try:
            self._listener.start()
        except ListenerNotOpened as error:
            self._missing = error.message
            self._log.error("commitment-listener", category=error.category.value)

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.stop()

    def missing(self) -> list[str]:
        return [] if self._missing is None else [self._missing]

    def insist(self, delivery: DeliveryRecord, destination: PacsDestination, objects: Sequence[ObjectRecord]) -> None:
        """Returns where all of ``objects`` are confirmed. Raises :class:`Unconfirmed` where they are not yet, and what
        :func:`vigil.delivery.commitment.request_commitment` raises."""
        node = destination.commitment
        owed = self._unconfirmed(delivery, objects)
        if node is None or not owed:
            return
        waits = self._ledger.open_commitment(delivery.delivery_id)
        # Without a listener an answer that did not come on the association of the request never comes.
        patient = (self._listener is not None and waits is not None
                   and self._clock.now() - waits.asked_at < timedelta(seconds=node.ask_again_s))
        if not patient:
            transaction = self._ledger.begin_commitment(delivery.delivery_id, self._clock.now())
            request_commitment(
                destination, node, transaction, [(item.sop_class_uid, item.sop_instance_uid) for item in owed],
                lambda: self._ledger.mark_commitment_asked(transaction, self._clock.now()), self.take, self._stop)
            owed = self._unconfirmed(delivery, objects)
        if not owed:
            return
        advice = ("" if self._listener is not None else
                  "; where it answers on an association of its own, set CommitmentListener")
        raise Unconfirmed(f"{destination.label} has taken {len(objects)} objects and not yet confirmed {len(owed)} of them: "
                          f"storage commitment is awaited{advice}")

    def take(self, report: CommitmentReport) -> bool:
        """Keeps what a PACS answered; False where nobody asked. What it does not keep counts as refused, and is sent again."""
        identity = self._ledger.delivery_of_commitment(report.transaction_uid)
        delivery = None if identity is None else self._ledger.delivery(identity)
        if delivery is None:
            return False
        now = self._clock.now()
        own = {item.sop_instance_uid for item in self._ledger.objects(delivery.analysis_id)}
        for uid in sorted(own & set(report.failed)):
            reason = report.failed[uid]
            self._ledger.record_object_status(
                delivery.delivery_id, uid, reason, now, f"storage commitment: {status_text(reason)}")
        self._ledger.record_commitment(report.transaction_uid, sorted(own & report.committed), now)
        self._log.info("storage-committed", destination=delivery.destination, committed=len(own & report.committed),
                       failed=len(own & set(report.failed)))
        return True

    def _unconfirmed(self, delivery: DeliveryRecord, objects: Sequence[ObjectRecord]) -> list[ObjectRecord]:
        confirmed = self._ledger.committed_objects(delivery.delivery_id)
        return [item for item in objects if item.sop_instance_uid not in confirmed]

    def _make_listener(self, settings: Settings) -> Listener | None:
        wanted = settings.commitment_listener
        if wanted is None:
            return None
        asked = [pacs_destination(name, settings) for name in settings.pacs]
        callers = {title for item in asked if item.commitment is not None for title in (item.aet, item.commitment.aet)}
        if not callers:
            return None
        return Listener(aet=wanted.aet, address=wanted.address, port=wanted.port, callers=callers, on_report=self.take)
