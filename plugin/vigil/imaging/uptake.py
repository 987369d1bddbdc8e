"""Standardised uptake values of PET: from activity concentration to SUV by body weight (g/mL).

By the vendor-neutral pseudocode of the Quantitative Imaging Biomarkers Alliance (QIBA FDG-PET/CT profile, "SUV calculation").
It guesses in some places, as when a derived series was made after its acquisition; here what is not known, or is contradicted by
another attribute or another image, is refused, for a value that is wrong by a half-life looks like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from pydicom import Dataset

from vigil.imaging.errors import UptakeUnknown
from vigil.imaging.volume import Volume
from vigil.intake.attributes import Attributes
from vigil.intake.part10 import PARSER_ERRORS

UNITS, CORRECTED, DECAY, RADIOPHARMACEUTICAL = 0x00541001, 0x00280051, 0x00541102, 0x00540016
START_TIME, DOSE_BQ, HALF_LIFE_S, START_DATE_TIME = 0x00181072, 0x00181074, 0x00181075, 0x00181078
WEIGHT_KG, SUV_TYPE = 0x00101030, 0x00541006
SLOPE, INTERCEPT, OFFSET_FROM_UTC = 0x00281053, 0x00281052, 0x00080201
PHILIPS, GE = "PHILIPS PET PRIVATE GROUP", "GEMS_PETD_01"

LIGHTEST_KG, HEAVIEST_KG = 0.3, 500.0
LEAST_BQ, MOST_BQ = 1e5, 1e11
"""Of the dose: a number of megabecquerels, or of millicuries, written as becquerels lies outside."""
SHORTEST_S, LONGEST_S = 60.0, 1e7
LONGEST_WAIT = timedelta(hours=24)
LONGEST_UNDATED_WAIT = timedelta(hours=12)
"""Where only the time of day of the injection is known: one "five minutes after the scan" is a clock that is wrong, and no
injection of the day before."""
LONGEST_UNDATED_HALF_LIFE_S = 6 * 3600.0
"""With a longer one (copper-64, zirconium-89) patients are scanned on another day, and a time of day says no date."""
MOST_HALF_LIVES = 10.0
"""Between injection and scan: of less than a thousandth of the dose nobody makes images."""
LARGEST_DISAGREEMENT = timedelta(seconds=60)
"""Between two attributes that tell one moment."""
LARGEST_SPREAD = 1e-3
"""Relative, of the factors of one volume: one patient, one dose, one scan."""
DAY = timedelta(days=1)
MORE_THAN_SECONDS = timedelta(seconds=1)


def standardised_uptake(volume: Volume, sources: Sequence[Dataset]) -> Volume:
    """``volume``: as stored, rescaled; ``sources``: the header of each of its slices.

    Raises: UptakeUnknown.
    """
    factors = [uptake_factor(source) for source in sources]
    if max(factors) > min(factors) * (1 + LARGEST_SPREAD):
        raise UptakeUnknown("its images contradict each other: unit, weight, dose, half-life or times differ between them")
    return Volume(volume.voxels * np.array(factors, np.float32)[:, None, None], volume.affine)


def uptake_factor(source: Dataset) -> float:
    """What a rescaled value is multiplied by, in g/mL for each of its own unit.

    Raises: UptakeUnknown, which says what the header lacks or contradicts.
    """
    header = Attributes(source)
    try:
        if not header.decimal(SLOPE):
            raise UptakeUnknown("an image has no Rescale Slope")
        units = header.text(UNITS).upper()
        if units == "GML":
            if (kind := header.text(SUV_TYPE).upper()) not in ("", "BW"):
                raise UptakeUnknown(f"they are SUV by '{kind}', not by body weight")
            return 1.0
        _insist_on_corrections(header)
        if units == "CNTS":
            return _of_counts(header)
        if units != "BQML":
            raise UptakeUnknown(f"their unit is '{units or 'not said'}', neither Bq/mL nor g/mL")
        return _of_activity(header)
    except PARSER_ERRORS as error:
        raise UptakeUnknown(f"the header cannot be read ({type(error).__name__})") from None


def _of_counts(header: Attributes) -> float:
    """Philips writes counts, and beside them what makes SUV of them, or activity."""
    to_suv, to_activity = _private(header, 0x7053, PHILIPS, 0x00), _private(header, 0x7053, PHILIPS, 0x09)
    if to_suv is not None and to_suv > 0:
        return to_suv
    if to_activity is not None and to_activity > 0:
        return to_activity * _of_activity(header)
    raise UptakeUnknown("they are counts, and the header says nothing of what activity these stand for")


def _of_activity(header: Attributes) -> float:
    if header.decimal(INTERCEPT):
        raise UptakeUnknown("an image has a Rescale Intercept, which activity has not")
    weight_kg = header.decimal(WEIGHT_KG)
    if weight_kg is None or not LIGHTEST_KG <= weight_kg <= HEAVIEST_KG:
        raise UptakeUnknown(_said("the patient's weight", weight_kg, "kg"))
    items = header.items(RADIOPHARMACEUTICAL)
    if len(items) != 1:
        raise UptakeUnknown(f"the header names {len(items)} radiopharmaceuticals, where one is needed")
    given = items[0]
    dose_bq, half_life_s = given.decimal(DOSE_BQ), given.decimal(HALF_LIFE_S)
    if dose_bq is None or not LEAST_BQ <= dose_bq <= MOST_BQ:
        raise UptakeUnknown(_said("the injected dose", dose_bq, "Bq"))
    if half_life_s is None or not SHORTEST_S <= half_life_s <= LONGEST_S:
        raise UptakeUnknown(_said("the half-life", half_life_s, "s"))
    left: float = 2.0 ** (-_decayed(header, given, half_life_s).total_seconds() / half_life_s)
    return 1000.0 * weight_kg / (dose_bq * left)


def _decayed(header: Attributes, given: Attributes, half_life_s: float) -> timedelta:
    """For how long the dose had decayed at the moment to which the values are corrected."""
    reference = header.text(DECAY).upper()
    if reference == "ADMIN":
        return timedelta(0)
    if reference != "START":
        raise UptakeUnknown(f"they are corrected for decay to '{reference or 'no moment that is said'}'")
    started, dated = _scan_start(header), _date_time(given.text(START_DATE_TIME))
    timed = _of_the_scan_s_day(started, given.text(START_TIME))
    waited = _waited_since(started, timed, half_life_s) if dated is None else started - dated
    if not timedelta(0) <= waited <= LONGEST_WAIT:
        raise UptakeUnknown("the injection was not within the day before the scan")
    if dated is not None:
        _insist_it_agrees(header, given, dated, timed)
    if waited.total_seconds() > MOST_HALF_LIVES * half_life_s:
        raise UptakeUnknown(f"the injection was more than {MOST_HALF_LIVES:g} half-lives before the scan")
    return waited


def _waited_since(started: datetime, timed: datetime | None, half_life_s: float) -> timedelta:
    """By the time of day alone: of the scan's day, or of the evening before."""
    if timed is None:
        raise UptakeUnknown("the header does not say when the dose was injected")
    if half_life_s > LONGEST_UNDATED_HALF_LIFE_S:
        raise UptakeUnknown("the header does not say on which day the dose was injected, which matters with so long a half-life")
    waited = (started - timed) % DAY
    if waited > LONGEST_UNDATED_WAIT:
        raise UptakeUnknown("by its time of day the injection was after the scan, or more than twelve hours before it")
    return waited


def _insist_it_agrees(header: Attributes, given: Attributes, dated: datetime, timed: datetime | None) -> None:
    """Date and time of the injection with its time of day, and with the zone of the other times."""
    if timed is not None and min((dated - timed) % DAY, (timed - dated) % DAY) > LARGEST_DISAGREEMENT:
        raise UptakeUnknown("the header says two different times of the injection")
    offset, own = header.text(OFFSET_FROM_UTC), re.search(r"[+-]\d{4}$", given.text(START_DATE_TIME))
    if offset and own is not None and own[0] != offset:
        raise UptakeUnknown("the time of the injection is of another time zone than the other times")


def _scan_start(header: Attributes) -> datetime:
    series, acquired = _moment(header, 0x00080021, 0x00080031), _moment(header, 0x00080022, 0x00080032)
    if series is None:
        raise UptakeUnknown("the header does not say when the series began")
    if acquired is None:
        raise UptakeUnknown("the header does not say when the images were acquired")
    if series <= acquired + MORE_THAN_SECONDS:
        return series
    scanned = _date_time(_private_text(header, 0x0009, GE, 0x0D))
    if scanned is None:
        raise UptakeUnknown("the series was made after the images were acquired, so nobody knows when the scan began")
    return scanned


def _of_the_scan_s_day(started: datetime, time: str) -> datetime | None:
    return _date_time(started.strftime("%Y%m%d") + time.replace(":", ""), least=12)


def _insist_on_corrections(header: Attributes) -> None:
    lacking = [name for name, said in (("attenuation", "ATTN"), ("decay", "DECY"))
               if said not in header.code_strings(CORRECTED)]
    if lacking:
        raise UptakeUnknown(f"they are not corrected for {' and '.join(lacking)}")


def _moment(header: Attributes, date: int, time: int) -> datetime | None:
    return _date_time(header.text(date).replace(".", "") + header.text(time).replace(":", ""), least=12)


def _date_time(text: str, least: int = 14) -> datetime | None:
    """Local time as it is written."""
    digits = re.match(r"\d+", text)
    if digits is None or len(digits[0]) < least:
        return None
    written = digits[0][:14].ljust(14, "0")
    try:
        return datetime.strptime(written, "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _private(header: Attributes, group: int, creator: str, element: int) -> float | None:
    text = _private_text(header, group, creator, element)
    try:
        return float(text) if text and "_" not in text else None
    except ValueError:
        return None


def _private_text(header: Attributes, group: int, creator: str, element: int) -> str:
    """An element of the block that its creator reserved (PS3.5 7.8.1)."""
    for block in range(0x10, 0x100):
        if header.text(group << 16 | block).upper() == creator:
            return header.text(group << 16 | block << 8 | element)
    return ""


def _said(what: str, value: float | None, unit: str) -> str:
    return f"{what} is not said" if value is None else f"{what} cannot be {value:g} {unit}"
