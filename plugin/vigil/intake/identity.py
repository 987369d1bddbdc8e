"""Whose image it is, as hashes: enough to see two patients in one study, too little to say who they are."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import date, datetime

from vigil.domain.identity import digest
from vigil.intake.attributes import Attributes

_PATIENT_NAME, _PATIENT_ID, _ISSUER = 0x00100010, 0x00100020, 0x00100021
_BIRTH_DATE, _SEX, _AGE = 0x00100030, 0x00100040, 0x00101010
_AGE_UNITS = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_OLDEST_YEARS = 130.0
"""Beyond it a birth date is a placeholder (1 January 1800 or 1900, as de-identification writes it)."""

IdentityParts = tuple[str, str, str, str]


def identity_parts(attributes: Attributes) -> IdentityParts:
    """Hashes of name, birth date, sex and issuer of the patient id; empty where the header does not say.

    Salted with the patient id: within one Orthanc study it is the same, and a hash of a sex alone would hide nothing.
    """
    salt = attributes.text(_PATIENT_ID)
    name, birth_date, sex, issuer = (
        digest("identity", salt, str(index), value) if value else "" for index, value in enumerate(_values(attributes))
    )
    return name, birth_date, sex, issuer


def identity_sha256(attributes: Attributes) -> str:
    """Of name, birth date, sex and issuer of the patient id, as one."""
    return hashlib.sha256("|".join(_values(attributes)).encode()).hexdigest()


def differ(one: IdentityParts, other: IdentityParts) -> bool:
    """Whether two headers name two patients: a part that one of them leaves out is no difference."""
    return any(mine and theirs and mine != theirs for mine, theirs in zip(one, other, strict=True))


def age_years(attributes: Attributes) -> float | None:
    """Patient's Age (0010,1010): three digits and D, W, M or Y."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", attributes.text(_AGE).upper())
    return int(match[1]) / _AGE_UNITS[match[2]] if match else None


def age_by_birth_date_years(attributes: Attributes, study_date: str) -> float | None:
    """Age on the day of the study; None where a date is absent, wrong or a placeholder."""
    born, studied = _date(attributes.text(_BIRTH_DATE)), _date(study_date)
    if born is None or studied is None or studied < born:
        return None
    birthday_passed = (studied.month, studied.day) >= (born.month, born.day)
    years = studied.year - born.year - (0 if birthday_passed else 1)
    return float(years) if years <= _OLDEST_YEARS else None


def _values(attributes: Attributes) -> IdentityParts:
    return (
        _plain_name(attributes.person(_PATIENT_NAME)), attributes.text(_BIRTH_DATE).replace(".", ""),
        attributes.text(_SEX).upper(), attributes.words(_ISSUER).casefold(),
    )


def _plain_name(name: str) -> str:
    """Family and given name of the alphabetic group, so that systems with and without umlauts, capitals and titles name
    one patient alike."""
    alphabetic = name.split("=", maxsplit=1)[0] or name
    folded = unicodedata.normalize("NFKD", " ".join(alphabetic.split("^")[:2]).casefold())
    letters = "".join(character if character.isalnum() else " " for character in folded
                      if not unicodedata.combining(character))
    for long, short in (("ae", "a"), ("oe", "o"), ("ue", "u"), ("ß", "ss")):
        letters = letters.replace(long, short)
    return " ".join(letters.split())


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text.replace(".", ""), "%Y%m%d").date()
    except ValueError:
        return None
