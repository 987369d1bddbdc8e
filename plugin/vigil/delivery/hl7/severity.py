"""How severe each finding of a message is, by the group of OBX-4 that its values have."""

from __future__ import annotations

from vigil.delivery.hl7.alert import Alert, gravest_first
from vigil.delivery.hl7.several import groups_of
from vigil.domain.answer import Answer
from vigil.domain.concepts import Code


def severities(alert: Alert) -> dict[str, Code]:
    """What the message says; nothing where it only takes back."""
    return {} if alert.retracts else _of(alert.answer)


def severities_before(alert: Alert) -> dict[str, Code]:
    """What the message said that this one takes back or replaces."""
    return {} if alert.before is None else _of(alert.before)


def _of(answer: Answer) -> dict[str, Code]:
    if answer.parts:
        told = {finding.concept: finding.severity for finding in answer.findings if finding.severity is not None}
        return {group: told[part.concept] for group, part in groups_of(answer) if part.concept in told}
    several = len(answer.findings) > 1
    return {
        str(position + 1) if several else "1": finding.severity
        for position, finding in enumerate(gravest_first(answer.findings), 1) if finding.severity is not None
    }  # fmt: skip
