"""Whether every series that a model asks for is given to its networks, and every channel has a series. Said when the manifest is
read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vigil.domain.manifest.preprocessing import TensorPreprocessing

if TYPE_CHECKING:
    from vigil.domain.manifest.whole import Manifest


def insist_every_input_is_fed(manifest: Manifest) -> None:
    """Raises: ValueError."""
    names = [series.name for series in manifest.inputs]
    if len(set(names)) != len(names):
        raise ValueError("each of inputs must have a name of its own")
    input_ = manifest.preprocessing
    if not isinstance(input_, TensorPreprocessing):
        if len(names) > 1 or any(network.inputs is not None for network in manifest.networks):
            raise ValueError("several 'inputs', of the model or of a network, go with preprocessing of kind 'tensor'")
        return
    if len(names) > 1 and any(series.dimensions == 2 for series in manifest.inputs):
        raise ValueError("an input of dimensions 2 has no place in the patient, so it goes with no other input")
    if len(names) > 1 and input_.settled_by_locator:
        raise ValueError("preprocessing.intensity: quantiles 'of: locator' go with one input; with several, write 'of: itself'")
    serving = input_.serving(names[0])
    for name in serving:
        if name not in names:
            raise ValueError(f"preprocessing.channels: '{name}' is none of inputs")
    coloured = {series.name for series in manifest.inputs if series.colour == "rgb"}
    for name, channel in zip(serving, input_.each_channel, strict=True):
        if (channel.colour is not None) != (name in coloured):
            raise ValueError("preprocessing.channels: each channel of an input of colour 'rgb' says which 'colour' it is, and no "
                             "other does")
    if unused := [name for name in names if name not in serving]:
        raise ValueError(f"no channel of preprocessing.channels is made of the input '{unused[0]}'; add "
                         f"{{input: {unused[0]}}}, or take the input out")
    for network in manifest.networks:
        fed = {channel for channels in network.ports(serving).values() for channel in channels}
        if left := sorted(set(range(len(serving))) - fed):
            raise ValueError(f"network.inputs of '{network.file}' is not given channel {left[0]} of preprocessing.channels, made "
                             f"of '{serving[left[0]]}'")
