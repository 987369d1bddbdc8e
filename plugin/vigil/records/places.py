"""Where each sealed value of the ledger stands: the words that are authenticated with it, and the list of all such columns.

A value opens only in its own place. Whoever adds a sealed column adds it here, so that a new key seals it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row

from vigil.records.tables import acknowledgement, analysis, audit_head, message, object_status, result_object

AUDIT_HEAD = "audit_head"
ORDER_KEYS = "order_keys"


def of_object(sop_instance_uid: str) -> str:
    return f"result_object|{sop_instance_uid}"


def of_comment(delivery_id: str, sop_instance_uid: str) -> str:
    return f"object_status|{delivery_id}|{sop_instance_uid}"


def of_message(delivery_id: str) -> str:
    return f"message|{delivery_id}"


def of_header(delivery_id: str) -> str:
    return f"message_header|{delivery_id}"


def of_answer(delivery_id: str) -> str:
    return f"acknowledgement|{delivery_id}"


def of_reference(analysis_id: str) -> str:
    return f"analysis|{analysis_id}"


@dataclass(frozen=True)
class SealedColumn:
    """``place``: of the value in a row, by columns of that row."""

    column: Column[Any]
    place: Callable[[Row[Any]], str]


SEALED = (
    SealedColumn(result_object.c.sealed, lambda row: of_object(row.sop_instance_uid)),
    SealedColumn(object_status.c.sealed_comment, lambda row: of_comment(row.delivery_id, row.sop_instance_uid)),
    SealedColumn(message.c.sealed, lambda row: of_message(row.delivery_id)),
    SealedColumn(message.c.sealed_header, lambda row: of_header(row.delivery_id)),
    SealedColumn(acknowledgement.c.sealed_text, lambda row: of_answer(row.delivery_id)),
    SealedColumn(analysis.c.sealed_reference, lambda row: of_reference(row.analysis_id)),
    SealedColumn(audit_head.c.sealed, lambda _: AUDIT_HEAD),
)
"""All but the order keys beside the sealing key, which a rotation adds to."""
