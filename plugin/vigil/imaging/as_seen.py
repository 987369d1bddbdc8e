"""The values that a network is given, where they are not those that are shown and stored."""

from __future__ import annotations

from pydicom import Dataset

from vigil.domain.manifest import SeriesInput
from vigil.imaging.load import LoadedStack
from vigil.imaging.polarity import low_is_dark
from vigil.imaging.uptake import standardised_uptake
from vigil.imaging.volume import Volume
from vigil.intake.header import read_dataset


def sources_of(loaded: LoadedStack) -> tuple[Dataset, ...]:
    """The header of each slice; that of a multi-frame image is read once, for all its frames."""
    read = {head: read_dataset(head) for head in set(loaded.heads)}
    return tuple(read[head] for head in loaded.heads)


def as_the_network_sees(volume: Volume, sources: tuple[Dataset, ...], wanted: SeriesInput) -> Volume:
    """Raises: UptakeUnknown."""
    if wanted.values == "suv-bw":
        return standardised_uptake(volume, sources)
    if wanted.dimensions == 2 and wanted.monochrome1 == "turned-over":
        return low_is_dark(volume, sources[0])
    return volume
