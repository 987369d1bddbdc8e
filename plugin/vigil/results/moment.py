"""When a result was made, in the clock that the study itself is told in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from pydicom import Dataset


@dataclass(frozen=True)
class Moment:
    """The analysis' own time, in the study's zone.

    Timezone Offset From UTC (PS3.3 C.12.1.1.8) holds for every date and time of an object, Study Date and Study Time
    among them. So it is only carried over from the source, never added: where the source declares none, the time is told
    in the zone that the analysis bears, and its offset stands where DICOM lets it stand: in values of type DT.
    """

    local: datetime

    @classmethod
    def of(cls, created_at: datetime, reference: Dataset) -> Moment:
        zone = _declared_zone(str(reference.get("TimezoneOffsetFromUTC") or ""))
        return cls(created_at.astimezone(zone) if zone is not None else created_at)

    @property
    def date(self) -> str:
        return self.local.strftime("%Y%m%d")

    @property
    def time(self) -> str:
        return self.local.strftime("%H%M%S")

    @property
    def offset(self) -> str:
        return self.local.strftime("%z")[:5]

    @property
    def date_time(self) -> str:
        """DT, with the offset (PS3.5 6.2)."""
        return f"{self.date}{self.time}{self.offset}"

    def words(self) -> str:
        """For people, for example "2026-11-23 14:05 (UTC+01:00)"."""
        offset = f"UTC{self.offset[:3]}:{self.offset[3:]}" if self.offset not in ("", "+0000") else "UTC"
        return f"{self.local.strftime('%Y-%m-%d %H:%M')} ({offset})"


def _declared_zone(offset: str) -> tzinfo | None:
    """``+0530`` as a zone; None where nothing, or nonsense, is declared."""
    digits = offset[1:]
    if len(offset) != 5 or offset[0] not in "+-" or not digits.isdigit():
        return None
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if away > timedelta(hours=14):
        return None
    return timezone(-away if offset[0] == "-" else away)
