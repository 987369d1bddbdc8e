"""What a receiver answers to an object, in words: DIMSE status values of C-STORE (PS3.4 B.2.3, PS3.7 Annex C), and the failure
reasons of storage commitment and STOW-RS, which have the same numbers (PS3.3 C.14, PS3.18 I.2)."""

from __future__ import annotations

SUCCESS = 0x0000
NOT_SUPPORTED = 0x0122
SYNTAX_NOT_SUPPORTED = 0xC122
"""A failure reason of STOW-RS; here also for C-STORE, where the PACS says so at the negotiation."""
NO_SUCH_OBJECT = 0x0112
PROCESSING_FAILURE = 0x0110
RESOURCE_LIMIT = 0x0213
CANNOT_UNDERSTAND = 0xC000

_NAMES = {
    SUCCESS: "success",
    PROCESSING_FAILURE: "processing failure",
    0x0111: "already there (duplicate SOP instance)",
    NO_SUCH_OBJECT: "it does not have the object",
    0x0117: "invalid SOP instance",
    0x0119: "SOP class and instance do not fit each other",
    NOT_SUPPORTED: "SOP class not supported",
    0x0124: "not authorised",
    0x0131: "the request for commitment was known already (duplicate transaction UID)",
    0x0210: "duplicate invocation",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
    RESOURCE_LIMIT: "resource limitation",
    0xA770: "the object does not belong to the study of the request",
    SYNTAX_NOT_SUPPORTED: "transfer syntax not supported",
    0xB000: "stored, with data elements coerced",
    0xB006: "stored, with elements discarded",
    0xB007: "stored, though the data set does not match its SOP class",
}
_FAMILIES = {0xA7: "out of resources", 0xA9: "the data set does not match its SOP class"}


def accepted(status: int) -> bool:
    """Whether the object is in the PACS: success, a warning (0x0001, 0xBxxx, PS3.7 C.1), or 0x0111, a duplicate: our
    UIDs come from the content, so what bears the same UID is the same object."""
    return status in (SUCCESS, 0x0001, 0x0111) or status & 0xF000 == 0xB000


def out_of_resources(status: int) -> bool:
    """0xA7xx (PS3.4 B.2.3) and 0x0213: a full disk there, which passes; the object itself is not refused."""
    return status == RESOURCE_LIMIT or (status >> 8 == 0xA7 and status != 0xA770)


def status_text(status: int) -> str:
    if status in _NAMES:
        return _NAMES[status]
    if status >> 8 in _FAMILIES:
        return f"{_FAMILIES[status >> 8]} (0x{status:04X})"
    if status & 0xF000 == 0xC000:
        return f"cannot understand (0x{status:04X})"
    if accepted(status):
        return f"stored, with warning 0x{status:04X}"
    return f"failure 0x{status:04X}"
