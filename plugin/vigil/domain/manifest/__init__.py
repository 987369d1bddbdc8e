"""What a model package says of itself: ``models/<id>/manifest.yaml``, version 1 of the schema.

The manifest is the author's whole contract: what the model may be run on, how its input is prepared, what its output
means and what may leave the house. One idea of it stands in each module.
"""

from vigil.domain.manifest.finding import Decided, FindingEntry, FurtherFinding
from vigil.domain.manifest.inputs import SeriesInput
from vigil.domain.manifest.networks import Locator, Network
from vigil.domain.manifest.operating import OperatingPoint
from vigil.domain.manifest.postprocessing import HyperdenseVolume, Postprocessing
from vigil.domain.manifest.preprocessing import AnyPreprocessing, Channel, Preprocessing, TensorPreprocessing
from vigil.domain.manifest.quality import Quality
from vigil.domain.manifest.regulatory import PermittedOutput, Regulatory, RegulatoryStatus
from vigil.domain.manifest.scope import Asked, BodyPart, Contrast, Scope
from vigil.domain.manifest.strict import AnyOf, CodeEntry, Range, WhenUnknown
from vigil.domain.manifest.whole import Manifest

__all__ = [
    "AnyOf", "AnyPreprocessing", "Asked", "BodyPart", "Channel", "CodeEntry", "Contrast", "Decided", "FindingEntry",
    "FurtherFinding", "HyperdenseVolume", "Locator", "Manifest", "Network", "OperatingPoint", "PermittedOutput",
    "Postprocessing", "Preprocessing", "Quality", "Range", "Regulatory", "RegulatoryStatus", "Scope", "SeriesInput",
    "TensorPreprocessing", "WhenUnknown",
]
