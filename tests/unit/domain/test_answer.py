"""A number as people read it."""

from __future__ import annotations

import pytest

from vigil.domain.answer import Criterion, Measurement
from vigil.domain.codes import MILLILITRE
from vigil.domain.concepts import Code

NUMBER = Code("1", "99T", "Number")
NO_UNIT = Code("1", "UCUM", "no units")


@pytest.mark.parametrize(("unit", "told", "limit"), [(MILLILITRE, "3.0 mL", "2.0 mL"), (NO_UNIT, "3", "2")], ids=["mL", "1"])
def test_what_is_only_counted_has_no_unit(unit: Code, told: str, limit: str) -> None:
    assert Measurement(NUMBER, 3.0, unit).text() == told
    assert Criterion("default", NUMBER, 2.0, unit).text() == limit
