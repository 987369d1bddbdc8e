"""Every file of pydicom's test data: read, or refused with a named reason; what is read is what pydicom reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from vigil.domain.errors import Category, VigilError
from vigil.imaging.decode import decode
from vigil.intake.header import header_of, read_header
from vigil.intake.part10 import read_instance

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
LEAST_DECODED = 20


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_any_file_is_read_or_refused_with_a_named_reason(path: Path) -> None:
    dicom = path.read_bytes()
    try:
        read_header("id", dicom)
        decode(read_instance(dicom))
    except VigilError as error:
        assert error.category is not Category.INTERNAL
        assert error.message


def test_what_is_decoded_is_what_pydicom_decodes() -> None:
    decoded = 0
    for path in FILES:
        dicom = path.read_bytes()
        try:
            instance = read_instance(dicom)
            header_of("id", instance)
            image = decode(instance)
        except VigilError:
            continue
        dataset = pydicom.dcmread(path, force=True)
        try:
            theirs = dataset.pixel_array
        except Exception:  # noqa: BLE001 - pydicom lacks the decoder, or minds what we need not
            continue
        decoded += 1
        lossy = dataset.file_meta.TransferSyntaxUID in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
        np.testing.assert_allclose(image.pixels, theirs, atol=2 if lossy else 0, err_msg=name_of(path))
    assert decoded >= LEAST_DECODED
