"""Ids that are derived, never drawn, so that a replay names the same things again (law 4), and none that names a
patient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from vigil.domain.answer import InputInstance

PRODUCT = "Vigil for Orthanc"
"""Names the maker of a result, in its Contributing Equipment."""


def digest(*parts: str) -> str:
    """SHA-256 over the parts, each preceded by its length, so that no two lists of parts collide by joining."""
    state = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        state.update(f"{len(encoded)}:".encode())
        state.update(encoded)
    return state.hexdigest()


def inputs_digest(inputs: Iterable[InputInstance]) -> str:
    """Hash of a model's selected inputs, independent of the order in which they arrived."""
    return digest(*sorted(_named(item) for item in inputs))


def _named(item: InputInstance) -> str:
    frames = "".join(f" {frame}" for frame in item.frames)
    served = f" as {item.input}" if item.input else ""
    return f"{item.sop_instance_uid} {item.content_sha256}{frames}{served}"


def analysis_id(
    *, orthanc_study_id: str, model_id: str, inputs_sha256: str, weights_sha256: str, operating_point: str,
    renderer_version: str, refusal: str = "", attempt: int = 1,
) -> str:
    """The id of an analysis: 32 hexadecimal characters.

    The Orthanc study id contains the patient id, so a corrected patient is another analysis. ``refusal`` is the
    category of a study that was not analysed or could not be: when the cause is gone, the analysis is another one,
    with other UIDs. ``attempt`` counts what an operator asked to be run again.
    """
    return digest(
        "analysis", orthanc_study_id, model_id, inputs_sha256, weights_sha256, operating_point, renderer_version,
        refusal, str(attempt),
    )[:32]


def object_uid(analysis: str, role: str, index: int = 0) -> str:
    """A UID of form 2.25.<UUID as decimal> (PS3.5 B.2), from the analysis, the object's role and its index."""
    value = int(digest("uid", analysis, role, str(index))[:32], 16)
    value = (value & ~(0xF << 76)) | (8 << 76)  # version 8, RFC 9562 5.8: custom, name-based
    value = (value & ~(0x3 << 62)) | (0x2 << 62)  # variant of RFC 9562
    return f"2.25.{value}"


def correlation_id(orthanc_study_id: str) -> str:
    """Joins every log line and audit entry of a study, from the event to the acknowledgement."""
    return digest("correlation", orthanc_study_id)[:16]


def filler_order_number(orthanc_study_id: str, model_id: str) -> str:
    """Vigil's own HL7 filler order number: one for a study and model, so that a correction replaces what it
    corrects."""
    return "V" + digest("filler", orthanc_study_id, model_id)[:14].upper()


def delivery_id(destination: str, analysis: str, revision: int) -> str:
    return f"deliver|{destination}|{analysis}|{revision}"


def message_control_id(destination: str, analysis: str, revision: int) -> str:
    """MSH-10, 20 characters: the same for every attempt, another for every revision."""
    return "V" + digest("message", destination, analysis, str(revision))[:19].upper()


def retraction_id(destination: str, analysis: str, revision: int) -> str:
    """Of the delivery that takes back what this one told."""
    return f"retract|{destination}|{analysis}|{revision}"


def retraction_control_id(destination: str, analysis: str, revision: int) -> str:
    """MSH-10 of the message that takes back what this one told."""
    return "V" + digest("retraction", destination, analysis, str(revision))[:19].upper()
