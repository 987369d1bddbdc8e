"""What a one-time link shows and does. Opening it changes nothing; the form acknowledges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vigil.delivery.escalation import page
from vigil.delivery.escalation.errors import LinkInvalid, NameInvalid
from vigil.delivery.escalation.link import Claim
from vigil.delivery.escalation.notice import Notice
from vigil.delivery.escalation.person import staff_name
from vigil.records.entries import PersonAcknowledgement

if TYPE_CHECKING:
    from vigil.pipeline.people import People

UNKNOWN = "the alert is not known here any more"


def open_link(people: People, token: str) -> bytes:
    """The page."""
    try:
        claim, notice = _claimed(people, token)
    except LinkInvalid as error:
        return page.refused(error.message)
    acknowledged = people.acknowledged_by(claim.analysis_id)
    return page.ask(notice) if acknowledged is None else page.already(notice, *_received(people, acknowledged))


def acknowledge_by_link(people: People, token: str, name: str) -> bytes:
    """The page that follows the form."""
    try:
        claim, notice = _claimed(people, token)
        by = staff_name(name)
    except LinkInvalid as error:
        return page.refused(error.message)
    except NameInvalid as error:
        return page.ask(notice, error.message[:1].upper() + error.message[1:] + ".")
    first = people.desk.acknowledge(claim.analysis_id, by, "link", channel=claim.channel, link_id=claim.link_id)
    acknowledged = people.acknowledged_by(claim.analysis_id)
    if acknowledged is None:
        return page.refused("this link was used before")
    show = page.thanks if first else page.already
    return show(notice, *_received(people, acknowledged))


def _claimed(people: People, token: str) -> tuple[Claim, Notice]:
    claim = people.links.read(token, people.clock.now())
    notice = people.notice_of(claim)
    if notice is None:
        raise LinkInvalid(UNKNOWN)
    return claim, notice


def _received(people: People, acknowledged: PersonAcknowledgement) -> tuple[str, str]:
    at = acknowledged.at.astimezone(people.zone)
    return acknowledged.by, f"{at:%Y-%m-%d %H:%M %Z}"
