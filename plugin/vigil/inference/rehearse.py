"""Whether what a network gives is what its manifest says, seen on the run that warms it: no study finds out."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from vigil.domain.manifest import Manifest, TensorPreprocessing
from vigil.domain.manifest.outputs import Classification, Detection, HeatMap, Regression, Segmentation
from vigil.inference.by_manifest import Parts
from vigil.inference.detect import detected
from vigil.inference.errors import InferenceFailed, ModelInvalid
from vigil.inference.forward import Batch, Forward
from vigil.inference.leave import Leave
from vigil.inference.sessions import Session


def insist_on_outputs(manifest: Manifest, locator: Session | None, networks: Sequence[Session]) -> None:
    """Raises: ModelInvalid."""
    if not isinstance(manifest.preprocessing, TensorPreprocessing):
        return
    leave = Leave(threading.Event())
    try:
        for network in networks:
            _insist(manifest, network, Parts.of(manifest, Batch(manifest.strategy.batch)).forward(network, leave))
        if manifest.locator is not None and locator is not None:
            rule = manifest.locator
            forward = Forward(locator, "NCDHW", "float32", frozenset({rule.output}), (), leave)
            values = forward.told(locator.warm_outputs, 1)[rule.output]
            if values.ndim != 5 or values.shape[2:] != rule.shape or values.shape[1] <= rule.channel:
                raise InferenceFailed(f"the locator's output '{rule.output}' has shape {values.shape}; it must be channels of "
                                      f"{rule.shape}, one of them channel {rule.channel}")
    except InferenceFailed as error:
        raise ModelInvalid(f"{error.message}; correct the manifest, or export the network again") from None


def _insist(manifest: Manifest, network: Session, forward: Forward) -> None:
    shape = network.warm_shape
    told = forward.told(network.warm_outputs, shape[0])
    spatial = shape[1:-1] if forward.layout.endswith("C") else shape[2:]
    for output in manifest.outputs:
        if isinstance(output, Segmentation | HeatMap):
            expected = (shape[0], output.channels, *spatial)
            if told[output.tensor].shape != expected:
                raise InferenceFailed(f"the output '{output.tensor}' has shape {told[output.tensor].shape} (channels first); "
                                      f"'{output.name}' must be {expected}")
        elif isinstance(output, Classification):
            if told[output.tensor].shape != (shape[0], len(output.classes)):
                raise InferenceFailed(f"the output '{output.tensor}' has shape {told[output.tensor].shape}; '{output.name}' has "
                                      f"{len(output.classes)} classes")
        elif isinstance(output, Regression):
            values = told[output.tensor]
            if values.ndim > 2 or (values.ndim == 2 and values.shape[1] <= output.index) or (values.ndim == 1 and output.index):
                raise InferenceFailed(f"the output '{output.tensor}' has shape {values.shape}; there is no value {output.index}")
        elif isinstance(output, Detection):
            flat = (1, *spatial) if len(spatial) == 2 else spatial
            detected(list(told[output.boxes]), list(told[output.scores]), output, (flat[0], flat[1], flat[2]))
