"""Which operating point a site wants for the scanner that made the images: one of those that the manifest has, and so the
clearance. A site that names another is told so at the start, before a patient's study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vigil.domain.answer import Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest, OperatingPoint
from vigil.intake.header import ImageHeader
from vigil.intake.words import has_word
from vigil.settings import ModelSettings
from vigil.settings.section import ScannerPoint


@dataclass(frozen=True)
class PointFault:
    """A setting that names what the model does not have, or has for other scanners. ``key``: below that of the model."""

    key: str
    text: str
    cure: str


def at_scanner(site: ModelSettings, images: Sequence[ImageHeader]) -> ModelSettings:
    """The site's settings with the operating point of these images. The first rule that all of them fit is taken; what no rule
    fits, or what no image was chosen for, has the model's own."""
    for rule in site.scanners:
        if images and all(_fits(rule, image) for image in images):
            return site.model_copy(update={"operating_point": rule.operating_point})
    return site


def refusal(site: ModelSettings, manifest: Manifest) -> Reason | None:
    """Why the model may not run at all with what the site says of it. None where it may."""
    faults = [f"Vigil.Models.{manifest.id}.{fault.key} {fault.text}; {fault.cure}" for fault in point_faults(site, manifest)]
    return Reason(Category.SETTINGS_INVALID, "; ".join(faults) + ", and restart Orthanc") if faults else None


def point_faults(site: ModelSettings, manifest: Manifest) -> Iterator[PointFault]:
    """Every operating point that the site names and the model cannot be run at. A model that decides nothing has none, and none
    is asked of it."""
    if manifest.finding.measured:
        return
    yield from _faults("OperatingPoint", site.operating_point, None, manifest)
    for number, rule in enumerate(site.scanners):
        yield from _faults(f"Scanners[{number}].OperatingPoint", rule.operating_point, rule, manifest)


def _faults(key: str, name: str, rule: ScannerPoint | None, manifest: Manifest) -> Iterator[PointFault]:
    point = manifest.operating_points.get(name)
    if point is None:
        yield PointFault(key, f"names an operating point '{name}' that the model does not have",
                         f"give one of {', '.join(sorted(manifest.operating_points))}")
    elif not _is_meant_for(point, rule):
        yield PointFault(key, f"names the operating point '{name}', which the model has for {_meant(point)} alone",
                         "name it in a rule of Scanners with these words, or give one of " + ", ".join(
                             sorted(other for other, own in manifest.operating_points.items() if own.scanners is None)))


def _is_meant_for(point: OperatingPoint, rule: ScannerPoint | None) -> bool:
    """Whether all images that a rule fits are of scanners that the point is for. ``rule``: None where it would be every image."""
    wanted = point.scanners
    if wanted is None:
        return True
    return rule is not None and _says_one(rule.manufacturer, wanted.manufacturers) and (
        not wanted.models or _says_one(rule.model, wanted.models))


def _says_one(text: str, words: Sequence[str]) -> bool:
    return any(has_word(text, word) for word in words)


def _meant(point: OperatingPoint) -> str:
    if point.scanners is None:
        return "every scanner"
    models = f" of model {' or '.join(point.scanners.models)}" if point.scanners.models else ""
    return f"scanners of manufacturer {' or '.join(point.scanners.manufacturers)}{models}"


def _fits(rule: ScannerPoint, image: ImageHeader) -> bool:
    return has_word(image.manufacturer, rule.manufacturer) and (
        not rule.model or has_word(image.manufacturer_model, rule.model))
