"""What was asked for and why, as the request and its images tell it: codes and words of procedure and indication.

The words are people's own and may name anybody: they are compared here, and never told, logged or kept (law 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import Asked, Scope, WhenUnknown
from vigil.intake.attributes import Attributes
from vigil.intake.words import has_word

_REQUESTS = 0x00400275
# Procedure Code, Requested Procedure Code, Scheduled Protocol Code, Performed Protocol Code
_PROCEDURE_CODES = (0x00081032, 0x00321064, 0x00400008, 0x00400260)
# Requested Procedure Description, Scheduled and Performed Procedure Step Description
_PROCEDURE_WORDS = (0x00321060, 0x00400007, 0x00400254)
# Reason for the Requested Procedure Code, Reason for Performed Procedure Code, Admitting Diagnoses Code
_INDICATION_CODES = (0x0040100A, 0x00401012, 0x00081084)
# Reason for the Requested Procedure, Reason for Study, Admitting Diagnoses Description
_INDICATION_WORDS = (0x00401002, 0x00321030, 0x00081080)
_VALUES, _SCHEME = (0x00080100, 0x00080119, 0x00080120), 0x00080102
"""Code Value, Long Code Value (above 16 characters), URN Code Value (PS3.3 8.8)."""


@dataclass(frozen=True)
class Requested:
    """Codes as "scheme:value", in capitals; words in lower case."""

    procedure_codes: tuple[str, ...] = ()
    procedure_words: str = ""
    indication_codes: tuple[str, ...] = ()
    indication_words: str = ""


def read_requested(attributes: Attributes) -> Requested:
    """Of the top of a data set and of its Request Attributes: scanners write it to either."""
    levels = (attributes, *attributes.items(_REQUESTS))
    return Requested(
        _codes(levels, _PROCEDURE_CODES), _words(levels, _PROCEDURE_WORDS),
        _codes(levels, _INDICATION_CODES), _words(levels, _INDICATION_WORDS),
    )


def request_reason(requests: Sequence[Requested], scope: Scope) -> Reason | None:
    """Why what was asked for, or why it was, rules the model out; None where it does not. One image that says it is enough."""
    if scope.procedures is not None:
        codes = {code for request in requests for code in request.procedure_codes}
        texts = {request.procedure_words for request in requests if request.procedure_words}
        if (found := _reason("procedure", codes, texts, scope.procedures)) is not None:
            return found
    if scope.indications is not None:
        codes = {code for request in requests for code in request.indication_codes}
        texts = {request.indication_words for request in requests if request.indication_words}
        return _reason("indication", codes, texts, scope.indications)
    return None


def _reason(what: str, codes: set[str], texts: set[str], asked: Asked) -> Reason | None:
    if codes & {code.upper() for code in asked.codes}:
        return None
    if any(has_word(text, word) for text in texts for word in asked.words):
        return None
    if not codes and not texts:
        if asked.unknown is WhenUnknown.ACCEPT:
            return None
        return Reason(Category.OUT_OF_SCOPE, f"the images do not say the {what} that was asked for, which this model needs")
    return Reason(Category.OUT_OF_SCOPE, f"the {what} of the request is none that this model is for")


def _codes(levels: Iterable[Attributes], tags: Sequence[int]) -> tuple[str, ...]:
    found = {f"{item.text(_SCHEME)}:{value}".upper()
             for level in levels for tag in tags for item in level.items(tag)
             if (value := next((text for each in _VALUES if (text := item.text(each))), ""))}
    return tuple(sorted(found))


def _words(levels: Iterable[Attributes], tags: Sequence[int]) -> str:
    return "; ".join(words for level in levels for tag in tags if (words := level.words(tag))).lower()
