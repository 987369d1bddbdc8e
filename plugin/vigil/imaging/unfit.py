"""What must not reach a network, whatever was sent and however well it decoded: a negative would be said of it (law 2)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset

from vigil.domain.manifest import SeriesInput
from vigil.imaging.blank import refuse_blank_slices
from vigil.imaging.errors import AttributesMissing
from vigil.imaging.field_of_view import refuse_cut_body
from vigil.imaging.hounsfield import refuse_implausible_hounsfield
from vigil.imaging.saturated import refuse_saturated
from vigil.imaging.volume import Volume
from vigil.intake.attributes import Attributes
from vigil.intake.required import missing_attributes


def refuse_unfit(volume: Volume, sources: Sequence[Dataset], wanted: SeriesInput) -> None:
    """``volume``: as it was decoded. ``sources``: the header of each slice.

    Raises: AttributesMissing; UnreadablePixels; SaturatedValues; ImplausibleValues; FieldOfViewTruncated.
    """
    quality = wanted.quality
    if missing := missing_attributes(sources, quality.required_attributes):
        raise AttributesMissing(missing)
    refuse_blank_slices(volume)
    if wanted.dimensions == 2:
        return  # of a projection image the highest value is where nothing stood in the way
    if quality.saturation == "refuse":
        refuse_saturated(volume)
    if Attributes(sources[0]).text(0x00080060) != "CT":
        return
    if quality.values == "refuse":
        refuse_implausible_hounsfield(volume)
    if quality.truncation == "refuse":
        refuse_cut_body(volume)
