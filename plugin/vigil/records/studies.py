"""The studies that Vigil saw: since when it watches, what was touched, what was evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, or_, select, update

from vigil.records.database import insert_absent
from vigil.records.entries import Installation, StudyState
from vigil.records.part import LedgerPart
from vigil.records.tables import installation, study


class Installations(LedgerPart):
    """One row: who this Vigil is, and from which change of Orthanc on it watches."""

    def install_once(self, change_sequence: int) -> Installation:
        """The installation, made at the first call. ``change_sequence``: Orthanc's newest change at that moment."""
        drawn = self._new_uuid()
        with self._database.write() as connection:
            insert_absent(connection, installation, {
                "id": 1, "installation_id": drawn.hex, "device_uid": f"2.25.{drawn.int}", "installed_at": self._clock.now(),
                "first_change_sequence": change_sequence, "change_cursor": change_sequence,
            })
            row = connection.execute(select(installation)).one()
        return Installation(row.installation_id, row.device_uid, row.installed_at, row.first_change_sequence, row.restored_at)

    def mark_restored(self, at: datetime) -> None:
        """This state was put back from a backup: what had arrived by now may have been told already."""
        with self._database.write() as connection:
            connection.execute(update(installation).values(restored_at=at))

    def change_cursor(self) -> int:
        """The last change of Orthanc that was taken up; 0 before the installation."""
        with self._database.read() as connection:
            return connection.execute(select(installation.c.change_cursor)).scalar_one_or_none() or 0

    def advance_change_cursor(self, sequence: int) -> None:
        """Never moves backwards: see :meth:`reset_change_cursor`."""
        with self._database.write() as connection:
            connection.execute(update(installation).where(installation.c.change_cursor < sequence).values(change_cursor=sequence))

    def reset_change_cursor(self, newest: int) -> bool:
        """Where Orthanc's newest change is older than what was taken up, its database is another one or was put back from a
        backup: reading goes on from there. Returns whether that was so."""
        with self._database.write() as connection:
            return connection.execute(
                update(installation).where(installation.c.change_cursor > newest).values(change_cursor=newest)).rowcount == 1


class Studies(LedgerPart):
    """When each study was touched and evaluated. Times come from one clock, the caller's."""

    def touch_studies(self, study_ids: Iterable[str], at: datetime) -> None:
        """Something of these studies changed. A touch later than a deletion means that the study came back."""
        with self._database.write() as connection:
            for study_id in study_ids:
                if insert_absent(connection, study, {"study_id": study_id, "touched_at": at}):
                    continue
                this = study.c.study_id == study_id
                connection.execute(update(study).where(this, study.c.touched_at < at).values(touched_at=at))
                connection.execute(update(study).where(this, study.c.deleted_at < at).values(deleted_at=None))

    def mark_evaluated(self, study_id: str, at: datetime, content_sha256: str, next_look_at: datetime | None) -> None:
        """``at``: when the evaluation began to read; a touch after that makes the study due again. It was there to be read, so a
        deletion that was noted late, after the study had been sent again, no longer holds."""
        values = {"evaluated_at": at, "content_sha256": content_sha256, "next_look_at": next_look_at, "deleted_at": None}
        with self._database.write() as connection:
            if not insert_absent(connection, study, {"study_id": study_id, "touched_at": at, **values}):
                connection.execute(update(study).where(study.c.study_id == study_id).values(values))

    def studies_due(self, now: datetime, quiet_since: datetime) -> list[str]:
        """Studies to evaluate: touched since their evaluation and quiet since then, or to be looked at again by now."""
        touched = and_(
            study.c.touched_at <= quiet_since,
            or_(study.c.evaluated_at.is_(None), study.c.touched_at > study.c.evaluated_at),
        )
        query = (
            select(study.c.study_id)
            .where(study.c.deleted_at.is_(None), or_(touched, study.c.next_look_at <= now))
            .order_by(study.c.touched_at, study.c.study_id)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def study_state(self, study_id: str) -> StudyState | None:
        with self._database.read() as connection:
            row = connection.execute(select(study).where(study.c.study_id == study_id)).one_or_none()
        if row is None:
            return None
        return StudyState(row.study_id, row.touched_at, row.evaluated_at, row.content_sha256, row.next_look_at, row.deleted_at)

    def look_again(self, study_id: str, at: datetime) -> None:
        """Makes a study due that is here and was evaluated, though nothing of it changed."""
        with self._database.write() as connection:
            connection.execute(update(study).where(
                study.c.study_id == study_id, study.c.deleted_at.is_(None)).values(next_look_at=at))

    def mark_deleted(self, study_id: str, at: datetime) -> None:
        """Forgets its content too: sent again, the same images are looked at anew."""
        with self._database.write() as connection:
            if not insert_absent(connection, study, {"study_id": study_id, "touched_at": at, "deleted_at": at}):
                connection.execute(update(study).where(study.c.study_id == study_id).values(
                    deleted_at=at, next_look_at=None, content_sha256=None))

    def clear_deleted(self, study_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(update(study).where(study.c.study_id == study_id).values(deleted_at=None))
