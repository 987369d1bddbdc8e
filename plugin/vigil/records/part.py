"""What every part of the ledger stands on, and the few turns between rows and types that they share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from vigil.domain.answer import Reason
from vigil.domain.clock import Clock
from vigil.domain.errors import Category
from vigil.records.database import Database
from vigil.records.errors import LedgerRefused
from vigil.records.sealing import Sealer

CHUNK = 500
"""Most values of one IN: databases bound the number of parameters of a statement."""


class LedgerPart:
    """One subject of the ledger. Its methods are short transactions of their own."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, new_uuid: Callable[[], UUID]) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._new_uuid = new_uuid


def canonical_json(values: Mapping[str, object]) -> str:
    """The same text for the same content. Raises :class:`LedgerRefused` for what JSON cannot hold."""
    try:
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise LedgerRefused(f"evidence must be JSON: {error}") from error


def reason_columns(prefix: str, reason: Reason | None) -> dict[str, str | None]:
    return {
        f"{prefix}_category": None if reason is None else reason.category.value,
        f"{prefix}_text": None if reason is None else reason.text,
    }


def reason_of(row: Row[Any], prefix: str) -> Reason | None:
    category = row._mapping[f"{prefix}_category"]
    return None if category is None else Reason(Category(category), row._mapping[f"{prefix}_text"])
