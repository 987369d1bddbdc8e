"""A PACS that stores and is asked to confirm, and answers as no real one that is at hand does: on the association of the
request, late, never, or that it keeps nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

from hospital.network import free_port

NO_SUCH_OBJECT = 0x0112
COMMITMENT, COMMITMENT_INSTANCE, VERIFICATION = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", "1.2.840.10008.1.1"


class ConfirmingPacs:
    """``answers``: whether a request is answered on its own association. ``action_status``: what the request itself is answered
    with. ``knows_commitment``: False refuses it at the negotiation. ``lost``: SOP Instance UIDs that it says it does not keep,
    each once. ``received``: how often each object came. ``asked``: the UIDs of each request; ``on_asked`` is called in the middle
    of one, before it is answered."""

    def __init__(self, *, aet: str = "CONFIRM", answers: bool = True, action_status: int = 0x0000, knows_commitment: bool = True,
                 on_asked: Callable[[], None] | None = None) -> None:
        self.aet = aet
        self.port = free_port()
        self.answers = answers
        self.lost: set[str] = set()
        self.received: Counter[str] = Counter()
        self.asked: list[tuple[str, ...]] = []
        self.on_asked = on_asked
        self._action_status = action_status
        self._ae = AE(ae_title=aet)
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(context.abstract_syntax or "")
        self._ae.add_supported_context(VERIFICATION)
        if knows_commitment:
            self._ae.add_supported_context(COMMITMENT)
        self._server: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[
            (evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()

    def _store(self, event: evt.Event) -> int:
        with self._lock:
            self.received[str(event.dataset.SOPInstanceUID)] += 1
        return 0x0000

    def _action(self, event: evt.Event) -> tuple[int, Dataset | None]:
        wanted = event.action_information
        self.asked.append(tuple(str(item.ReferencedSOPInstanceUID) for item in wanted.ReferencedSOPSequence))
        if self.on_asked is not None:
            self.on_asked()
        if self._action_status == 0x0000 and self.answers:
            threading.Timer(0.1, self._report, (event.assoc, wanted)).start()
        return self._action_status, None

    def _report(self, association: Any, wanted: Dataset) -> None:
        reply = Dataset()
        reply.TransactionUID = wanted.TransactionUID
        kept, failed = [], []
        for item in wanted.ReferencedSOPSequence:
            uid = str(item.ReferencedSOPInstanceUID)
            if uid in self.lost:
                self.lost.discard(uid)
                item.FailureReason = NO_SUCH_OBJECT
                failed.append(item)
            else:
                kept.append(item)
        if kept:
            reply.ReferencedSOPSequence = kept
        if failed:
            reply.FailedSOPSequence = failed
        with suppress(RuntimeError):  # who asked is gone
            association.send_n_event_report(reply, 2 if failed else 1, COMMITMENT, COMMITMENT_INSTANCE)
