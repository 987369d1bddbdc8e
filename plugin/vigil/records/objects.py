"""The result objects: their bytes sealed until they are no longer needed, their UIDs and digests for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from vigil.records import places
from vigil.records.entries import FinishedObject, ObjectRecord
from vigil.records.part import CHUNK, LedgerPart
from vigil.records.sealing import Sealer
from vigil.records.tables import analysis, result_object


def sealed_rows(sealer: Sealer, analysis_id: str, objects: Sequence[FinishedObject]) -> list[dict[str, Any]]:
    return [
        {
            "sop_instance_uid": item.sop_instance_uid, "analysis_id": analysis_id, "role": str(item.role),
            "position": item.index, "ordinal": ordinal, "sop_class_uid": item.sop_class_uid,
            "series_instance_uid": item.series_instance_uid, "sha256": hashlib.sha256(item.dicom).hexdigest(),
            "size": len(item.dicom), "sealed": sealer.seal(item.dicom, places.of_object(item.sop_instance_uid)),
        }
        for ordinal, item in enumerate(objects)
    ]


def insert_objects(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        connection.execute(result_object.insert().values(row))


class Objects(LedgerPart):
    def objects(self, analysis_id: str) -> list[ObjectRecord]:
        """In the order in which they were made."""
        columns = [column for column in result_object.columns if column is not result_object.c.sealed]
        query = select(*columns).where(result_object.c.analysis_id == analysis_id).order_by(result_object.c.ordinal)
        with self._database.read() as connection:
            return [
                ObjectRecord(row.role, row.position, row.sop_class_uid, row.sop_instance_uid, row.series_instance_uid,
                             row.sha256, row.size, row.orthanc_id, row.stored_at)
                for row in connection.execute(query)
            ]

    def object_bytes(self, sop_instance_uid: str) -> bytes | None:
        """The DICOM file; None where the ledger does not hold it, or no longer. Raises :class:`SealBroken`."""
        query = select(result_object.c.sealed).where(result_object.c.sop_instance_uid == sop_instance_uid)
        with self._database.read() as connection:
            sealed: bytes | None = connection.execute(query).scalar_one_or_none()
        return None if sealed is None else self._sealer.unseal(sealed, places.of_object(sop_instance_uid))

    def mark_object_stored(self, sop_instance_uid: str, orthanc_id: str, at: datetime) -> None:
        """Keeps the first time: an object that is stored again is the same object."""
        with self._database.write() as connection:
            connection.execute(
                update(result_object)
                .where(result_object.c.sop_instance_uid == sop_instance_uid, result_object.c.stored_at.is_(None))
                .values(orthanc_id=orthanc_id, stored_at=at)
            )

    def own_sop_instance_uids(self, candidates: Iterable[str]) -> set[str]:
        """Those of the candidates that Vigil made, also when a PACS has sent them back."""
        wanted = list(dict.fromkeys(candidates))
        found: set[str] = set()
        with self._database.read() as connection:
            for start in range(0, len(wanted), CHUNK):
                found.update(connection.execute(
                    select(result_object.c.sop_instance_uid)
                    .where(result_object.c.sop_instance_uid.in_(wanted[start : start + CHUNK]))
                ).scalars())
        return found

    def purge_object_bytes(self, analysis_id: str) -> None:
        """Lets the bytes of an analysis and the header of its reference image go; UIDs and digests stay."""
        with self._database.write() as connection:
            connection.execute(
                update(result_object).where(result_object.c.analysis_id == analysis_id).values(sealed=None))
            connection.execute(
                update(analysis).where(analysis.c.analysis_id == analysis_id).values(sealed_reference=None))
