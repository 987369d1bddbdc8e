"""A small message, and destinations on this machine, for the tests of MLLP."""

from __future__ import annotations

from typing import Any

from vigil.delivery.destination import Connection, RisDestination
from vigil.delivery.hl7.profile import Hl7Profile


def message(control_id: str, text: str = "Müller 山田") -> bytes:
    lines = [
        f"MSH|^~\\&|VIGIL|HOSP|EHR|HOSP|20261122204500||ORU^R01^ORU_R01|{control_id}|P|2.5.1||||||UNICODE UTF-8",
        f"NTE|1||{text}",
    ]
    return ("\r".join(lines) + "\r").encode()


def destination(
    port: int, connection: Connection = Connection.PERSISTENT, timeout_s: float = 5.0, **changes: Any
) -> RisDestination:
    return RisDestination(
        "ed", "127.0.0.1", port, changes.pop("profile", Hl7Profile()), timeout_s=timeout_s, connect_timeout_s=2.0,
        connection=connection, **changes,
    )
