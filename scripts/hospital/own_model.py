"""An author's package and a folder of images, for the demo: the same way that the bundle's own models go."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hospital.outcome import Expectation

if TYPE_CHECKING:
    from pydicom import Dataset

    from hospital.watching import Head


class NothingToShow(Exception):
    """The package or the images are not what the demo needs; the message says what to give it."""


def installed(package: Path, models: Path) -> str:
    """Copies the package into a folder of models, under its own id, which is returned.

    Raises: NothingToShow.
    """
    import yaml

    try:
        manifest = yaml.safe_load((package / "manifest.yaml").read_text("utf-8"))
        identity = str(manifest["id"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
        raise NothingToShow(
            f"{package} holds no manifest.yaml with an id; \"vigil models validate {package}\" says more") from None
    shutil.copytree(package, models / identity)
    return identity


def study_in(folder: Path) -> Head:
    """The one study that lies in a folder, with all below it.

    Raises: NothingToShow.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    from hospital.watching import Head

    images: list[Dataset] = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        try:
            read = dcmread(path)
        except InvalidDicomError:
            continue  # a text beside the images
        if "SOPInstanceUID" in read and "DirectoryRecordSequence" not in read:
            images.append(read)
    studies = {str(image.StudyInstanceUID) for image in images}
    if len(studies) != 1:
        raise NothingToShow(f"{folder} holds {len(studies) or 'no'} studies; give --images a folder with the images of one")
    return Head(f"{folder.name}, {len(images)} images", tuple(images), Expectation(positive=False, anything=True))
