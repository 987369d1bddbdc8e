from __future__ import annotations

from vigil.domain.errors import in_words
from vigil.domain.gateway import GatewayError


def test_an_error_of_another_s_wording_is_told_by_its_kind_alone() -> None:
    assert in_words(GatewayError("Orthanc is full; free space on its disk")) == "Orthanc is full; free space on its disk"
    assert in_words(OSError("Doe^Jane cannot be written")) == "a fault in the software (OSError); see the log"
