"""Every code that ships is in pydicom's dictionary, is our own, or stands on the reviewed list with its source."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from vigil.domain import codes
from vigil.domain.concepts import Code

SHIPPED = [value for name, value in vars(codes).items() if isinstance(value, Code)]
SHIPPED += list(codes.ACR_CATEGORIES.values())


def in_dictionary(code: Code) -> bool:
    return any(code.value in keyword for keyword in concepts.get(code.scheme, {}).values())


@pytest.mark.parametrize("code", SHIPPED, ids=str)
def test_each_code_is_known_our_own_or_reviewed(code: Code) -> None:
    assert code.scheme == "99VIGIL" or in_dictionary(code) or (code.value, code.scheme) in codes.REVIEWED


@pytest.mark.parametrize("code", SHIPPED, ids=str)
def test_each_code_fits_its_dicom_attributes(code: Code) -> None:
    assert 1 <= len(code.value) <= 16
    assert 1 <= len(code.scheme) <= 16
    assert 1 <= len(code.meaning) <= 64


def test_no_reviewed_code_is_in_the_dictionary_or_unused() -> None:
    shipped = {(code.value, code.scheme) for code in SHIPPED}
    for value, scheme in codes.REVIEWED:
        assert (value, scheme) in shipped
        assert not in_dictionary(Code(value, scheme, "x"))
