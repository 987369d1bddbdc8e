"""The header of an analysis's reference image: from Orthanc, or as it was sealed when the analysis began.

A router deletes what it has forwarded. Where the site says so ("DeletedStudies" is "deliver"), the answer leaves the house
all the same, and who the patient is then stands in the sealed header alone.
"""

from __future__ import annotations

from vigil.domain.answer import Analysis
from vigil.domain.gateway import Gateway
from vigil.records.ledger import Ledger
from vigil.settings import Settings


class References:
    """Raises what gateway and ledger raise."""

    def __init__(self, gateway: Gateway, ledger: Ledger, settings: Settings) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._outlives_study = settings.deleted_studies == "deliver"

    def head(self, analysis: Analysis) -> bytes | None:
        """The file of the reference image, at least up to its pixels. None where the study is gone and nothing of it may leave,
        or where there is no such image."""
        if not analysis.reference_instance:
            return None
        found = self._gateway.dicom(analysis.reference_instance)
        return self._ledger.reference_head(analysis.analysis_id) if found is None and self._outlives_study else found

    def lets_go_on(self, analysis: Analysis) -> bool:
        """Whether an analysis whose study may be gone goes on."""
        if self._gateway.study(analysis.orthanc_study_id) is not None:
            return True
        return self._outlives_study and self._ledger.reference_head(analysis.analysis_id) is not None
