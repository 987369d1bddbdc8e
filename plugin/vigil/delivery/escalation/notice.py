"""What a person is sent: as little as the site configured. Nothing here names a patient but what :class:`Notice` was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

WITHIN = {1: "minutes", 2: "hours", 3: "days"}
"""How soon a result of each ACR actionable category is to be communicated."""
DISCLAIMER = "Automated result, unread by a physician. Not for primary diagnosis."


@dataclass(frozen=True)
class Notice:
    """One message to people. ``finding``, ``accession_number``, ``study_description``: None where the site does not let them
    out. ``link``: where it is acknowledged, None where the site names no address. ``withdrawn``: the result that was told before
    no longer stands; ``withdrawn_because``: why, None where a newer answer replaced it. ``in_part``: of several findings others
    stand, ``stands``: these, where the site lets them out.
    ``research``: the model is not cleared."""

    alert_id: str
    category: int | None
    found_at: datetime
    zone: tzinfo
    withdrawn: bool = False
    withdrawn_because: str | None = None
    in_part: bool = False
    stands: str | None = None
    research: bool = False
    finding: str | None = None
    accession_number: str | None = None
    study_description: str | None = None
    link: str | None = None

    @property
    def short_id(self) -> str:
        return self.alert_id[:12]

    @property
    def headline(self) -> str:
        category = "" if self.category is None else f", category {self.category}"
        if self.withdrawn and self.in_part:
            return f"AI alert withdrawn in part{category}: the rest of the one sent before stands"
        if self.withdrawn:
            return f"AI alert withdrawn{category}: disregard the one sent before"
        return f"AI alert{category}, not yet acknowledged"

    def facts(self) -> list[tuple[str, str]]:
        """What is said of the alert, as names and values."""
        within = WITHIN.get(self.category or 0)
        rows = [
            ("Withdrawn" if self.in_part else "Finding", self.finding),
            ("Stands", self.stands),
            ("Category", None if self.category is None else f"{self.category} (ACR: to be communicated within {within})"),
            ("Found", f"{self.found_at.astimezone(self.zone):%Y-%m-%d %H:%M %Z}"),
            ("Accession number", self.accession_number),
            ("Study", self.study_description),
            ("Model", "for research, not cleared for clinical use" if self.research else None),
            ("Alert", self.short_id),
        ]
        return [(name, value) for name, value in rows if value]


def mail_text(notice: Notice) -> tuple[str, str]:
    """Subject and body."""
    lines = [f"{notice.headline}.", ""]
    lines += [f"{name}: {value}" for name, value in notice.facts()]
    if notice.withdrawn:
        lines += ["", _why_withdrawn(notice)]
    elif notice.link is not None:
        lines += ["", "Please look at the images, then acknowledge here (the link works once):", notice.link]
    else:
        lines += ["", f"Please look at the images, then acknowledge: vigil alerts acknowledge {notice.short_id} --by YOUR-NAME"]
    lines += ["", DISCLAIMER]
    return f"{notice.headline} ({notice.short_id})", "\n".join(lines) + "\n"


def _why_withdrawn(notice: Notice) -> str:
    if notice.withdrawn_because is not None:
        return f"The result that you were told of no longer stands: {notice.withdrawn_because}."
    if notice.in_part:
        return "A newer analysis of the study replaced a part of what you were told of; its report says what stands."
    return "A newer analysis of the study replaced the result that you were told of."


def webhook_object(notice: Notice, message_id: str) -> dict[str, object]:
    """What is sent as JSON. ``message_id``: the same at every attempt, so that a receiver tells a repetition."""
    return {
        "version": 1,
        "id": message_id,
        "event": "alert-withdrawn" if notice.withdrawn else "alert-unacknowledged",
        "alert": notice.alert_id,
        "category": notice.category,
        "found_at": notice.found_at.isoformat(timespec="seconds"),
        "finding": notice.finding,
        **({"in_part": True, "stands": notice.stands} if notice.in_part else {}),
        "accession_number": notice.accession_number,
        "study_description": notice.study_description,
        "acknowledge_url": notice.link,
        "research": notice.research,
        "disclaimer": DISCLAIMER,
    }
