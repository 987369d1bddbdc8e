"""The name of a member of the staff, as it is given: it stands in the ledger and the audit, so it is a name and no more."""

from __future__ import annotations

import unicodedata

from vigil.delivery.escalation.errors import NameInvalid

LONGEST = 64
BESIDE_LETTERS = " .,'’-"


def staff_name(text: str) -> str:
    """The name, its spaces tidied. Raises :class:`NameInvalid` where it is empty, too long or holds anything but letters."""
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if not 2 <= len(name) <= LONGEST or not any(map(str.isalpha, name)):
        raise NameInvalid(f"give your own name, 2 to {LONGEST} letters")
    if not all(character in BESIDE_LETTERS or unicodedata.category(character)[0] in "LM" for character in name):
        raise NameInvalid("give your own name and nothing else: letters, spaces, and . , ' -")
    return name
