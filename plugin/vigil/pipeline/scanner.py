"""Which operating point a site wants for the scanner that made the images: one of those that the manifest has, and so the
clearance."""

from __future__ import annotations

from collections.abc import Sequence

from vigil.intake.header import ImageHeader
from vigil.intake.words import has_word
from vigil.settings import ModelSettings
from vigil.settings.section import ScannerPoint


def at_scanner(site: ModelSettings, images: Sequence[ImageHeader]) -> ModelSettings:
    """The site's settings with the operating point of these images. The first rule that all of them fit is taken; what no rule
    fits, or what no image was chosen for, has the model's own."""
    for rule in site.scanners:
        if images and all(_fits(rule, image) for image in images):
            return site.model_copy(update={"operating_point": rule.operating_point})
    return site


def _fits(rule: ScannerPoint, image: ImageHeader) -> bool:
    return has_word(image.manufacturer, rule.manufacturer) and (
        not rule.model or has_word(image.manufacturer_model, rule.model))
