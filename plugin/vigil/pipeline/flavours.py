"""Which flavours of the result objects are made besides those of every set: what a destination's profile takes."""

from __future__ import annotations

from collections.abc import Collection

from vigil.delivery.destination import result_destination
from vigil.results.objects import Role
from vigil.results.options import ResultOptions
from vigil.results.viewer_profile import ViewerProfile, roles_wanted
from vigil.settings import Settings


def options_of(profiles: Collection[ViewerProfile]) -> ResultOptions:
    wanted = roles_wanted(profiles)
    return ResultOptions(
        multiframe=Role.MULTIFRAME in wanted, full_frame=Role.FULL_SEGMENTATION in wanted,
        text_report=Role.TEXT_REPORT in wanted)


def options_for(settings: Settings, model_id: str) -> ResultOptions:
    """For a model's results: of the destinations that take them."""
    destinations = (result_destination(name, settings) for name in [*settings.pacs, *settings.dicom_web])
    return options_of([item.profile for item in destinations if item is not None and item.takes(model_id)])
