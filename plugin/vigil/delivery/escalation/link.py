"""The link by which a person acknowledges: signed, good for a time, and once.

Whoever holds it may acknowledge this one alert and do nothing else. It holds no patient data: the analysis's id, the step and
channel it was sent by, and when it ends. That it works once is the ledger's part.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from vigil.delivery.escalation.errors import LinkInvalid

PURPOSE = "acknowledgement links"
"""Of the key that they are signed with, derived from the sealing key."""
PATH = "/vigil/acknowledge/"
SIGNATURE_BYTES = 32


@dataclass(frozen=True)
class Claim:
    """What a link says. ``link_id`` names it in the ledger."""

    analysis_id: str
    step: int
    channel: str
    expires_at: datetime
    link_id: str


class Links:
    def __init__(self, key: bytes, base: str | None, good_for: timedelta) -> None:
        """``base``: the address of this Orthanc as people reach it; None: no links are made."""
        self._key = key
        self._base = base
        self._good_for = good_for

    def make(self, analysis_id: str, step: int, channel: str, found_at: datetime) -> str | None:
        """The address: the same for the same message, so that one that is sent twice is acknowledged once."""
        if self._base is None:
            return None
        expires = int((found_at + self._good_for).timestamp())
        payload = json.dumps([analysis_id, step, channel, expires], separators=(",", ":")).encode()
        return f"{self._base}{PATH}{_encoded(payload + self._signature(payload))}"

    def read(self, token: str, now: datetime) -> Claim:
        """Raises :class:`LinkInvalid`."""
        try:
            signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError) as error:
            raise LinkInvalid("this is no link of Vigil's; was it cut on the way?") from error
        payload, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(payload)):
            raise LinkInvalid("this is no link of Vigil's: it was cut on the way, or the sealing key was changed after it was "
                              "sent; acknowledge with \"vigil alerts acknowledge\", or ask whoever runs Orthanc")
        analysis_id, step, channel, expires = json.loads(payload)
        expires_at = datetime.fromtimestamp(expires, UTC)
        if now > expires_at:
            raise LinkInvalid("this link has expired; acknowledge with \"vigil alerts acknowledge\", or ask whoever runs Orthanc")
        return Claim(str(analysis_id), int(step), str(channel), expires_at, hashlib.sha256(payload).hexdigest())

    def _signature(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, "sha256").digest()


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
