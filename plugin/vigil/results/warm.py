"""Pays at start what the first result would otherwise wait for."""

from __future__ import annotations

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage

from vigil.results.lettering import Hand


def warm() -> None:
    """Loads highdicom's tables and codes, and the font: seconds at the first report, once a process."""
    sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POINT,
        graphic_data=np.array([[0.5, 0.5]]),
        source_image=sr.SourceImageForRegion(CTImageStorage, "1.2.3"),
    )
    sr.QualitativeEvaluation(codes.DCM.Finding, codes.SCT.Present)
    Hand(20, (255, 255, 255)).width("warm")
