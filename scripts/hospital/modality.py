"""A modality: sends images by C-STORE, as scanners do: slowly, or on several associations at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.presentation import build_context

NO_ANSWER = 0xFFFF
"""Stands for a status where the receiver gave none (not a C-STORE status of PS3.7)."""


class AssociationRefused(Exception):
    """The receiver did not accept the association."""


@dataclass(frozen=True)
class Sent:
    """What the receiver answered. ``statuses``: C-STORE status by SOP Instance UID; ``last_at``: when the last answer
    came (UTC)."""

    statuses: dict[str, int]
    last_at: datetime

    @property
    def all_stored(self) -> bool:
        return bool(self.statuses) and not any(self.statuses.values())


def send(
    datasets: Iterable[Dataset],
    host: str,
    port: int,
    called_aet: str,
    *,
    pause_s: float = 0.0,
    associations: int = 1,
    calling_aet: str = "CT1",
) -> Sent:
    """Sends data sets (each with its file meta information) and waits for every answer.

    ``pause_s`` is slept after each image of an association; ``associations`` share the images out in turn.

    Raises:
        AssociationRefused: when an association was not accepted.
    """
    images = list(datasets)
    shares = [images[start::associations] for start in range(min(associations, len(images)))]

    entity = AE(ae_title=calling_aet)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.connection_timeout = 10

    def share(own: Sequence[Dataset]) -> dict[str, int]:
        return _send_on_one_association(own, entity, host, port, called_aet=called_aet, pause_s=pause_s)

    statuses: dict[str, int] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(shares)), thread_name_prefix="modality") as pool:
        for answers in pool.map(share, shares):
            statuses |= answers
    return Sent(statuses, datetime.now(UTC))


def _send_on_one_association(
    images: Sequence[Dataset], entity: AE, host: str, port: int, *, called_aet: str, pause_s: float
) -> dict[str, int]:
    pairs = sorted({(str(image.SOPClassUID), str(image.file_meta.TransferSyntaxUID)) for image in images})
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in pairs]
    association = entity.associate(host, port, contexts=contexts, ae_title=called_aet)
    if not association.is_established:
        raise AssociationRefused(f"{called_aet} at {host}:{port} did not accept an association from {entity.ae_title}.")
    answers: dict[str, int] = {}
    try:
        for image in images:
            try:
                status = association.send_c_store(image)
            except RuntimeError:
                break  # the receiver is gone; what it did not answer is missing from the statuses
            answers[str(image.SOPInstanceUID)] = int(getattr(status, "Status", NO_ANSWER))
            if pause_s:
                time.sleep(pause_s)
    finally:
        association.release()
    return answers
