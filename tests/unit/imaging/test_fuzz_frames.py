"""Damaged multi-frame and colour files go the whole way to a volume, or are refused with a named reason, and the process lives.

In a process of its own, as in test_fuzz. scripts/soak tries many more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MEMORY_BYTES = 6 << 30
CHILD = """
import random, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]),) * 2)
sys.path[:0] = sys.argv[4:]
import imagecodecs
import numpy as np
import pydicom
from imaging_cases import lopsided, series
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from hospital.ct_series import Acquisition, dicom_bytes
from hospital.enhanced import enhanced_ct
from hospital.moving_pictures import moving_picture
from vigil.domain.errors import Category, VigilError
from vigil.imaging.load import load_stack
from vigil.intake.flat import flat_stack
from vigil.intake.frames import images_of
from vigil.intake.header import read_header
from vigil.intake.stack import build_stack

CODECS = {
    JPEG2000Lossless: lambda plane: imagecodecs.jpeg2k_encode(plane, level=0, codecformat="J2K", reversible=True, mct=False),
    JPEGLSLossless: imagecodecs.jpegls_encode, JPEGBaseline8Bit: imagecodecs.jpeg8_encode,
}

def compressed(dicom, syntax):
    image = pydicom.dcmread(pydicom.filebase.DicomBytesIO(dicom))
    if syntax == RLELossless:
        image.compress(syntax)
        return dicom_bytes(image)
    image.PixelData = encapsulate([CODECS[syntax](np.ascontiguousarray(plane)) for plane in image.pixel_array])
    image.file_meta.TransferSyntaxUID, image["PixelData"].VR = syntax, "OB"
    return dicom_bytes(image)

def kinds():
    slices = series(lopsided((5, 20, 14)), Acquisition(seed="fuzz", spacing_mm=(2.5, 0.7, 0.9)))
    noise = np.random.default_rng(5).integers(0, 255, (4, 16, 20, 3), np.uint8)
    made = {"enhanced ct": enhanced_ct(slices), "phases": enhanced_ct(slices, phases=[1, 1, 2, 2, 3]),
            "colour loop": moving_picture(noise, "US", "fuzz"), "grey loop": moving_picture(noise[..., 0], "XA", "fuzz")}
    for name in list(made):
        yield name, dicom_bytes(made[name])
        for syntax in (RLELossless, *CODECS):
            if syntax != JPEGBaseline8Bit or made[name].BitsAllocated == 8:
                yield f"{name} {syntax.name}", compressed(dicom_bytes(made[name]), syntax)
    data = Path(pydicom.__file__).parent / "data"
    for path in sorted({path for part in ("rgb", "YBR", "[Pp]al", "frame") for path in data.rglob(f"*{part}*.dcm")}):
        if path.stat().st_size < 400_000:
            yield path.name, path.read_bytes()

def attempt(dicom):
    images = images_of(read_header("id", dicom))[:300]
    for stack in (build_stack, flat_stack):
        try:
            made = stack(images)
        except VigilError as error:
            assert error.category is not Category.INTERNAL
            continue
        load_stack(made, {"id": dicom}.get, largest_bytes=256 << 20, colour="rgb")

files = sorted(kinds())
for name, dicom in files:
    try:
        attempt(dicom)
    except VigilError as error:
        assert error.category is not Category.INTERNAL
        assert name.endswith(".dcm"), (name, error.message)  # ours are whole
seed, count = int(sys.argv[1]), int(sys.argv[2])
for number in range(seed, seed + count):
    chance = random.Random(number)
    name, dicom = chance.choice(files)
    content = bytearray(dicom)
    header_end = max(200, content.find(b"\\xe0\\x7f\\x10\\x00"))
    for _ in range(chance.randint(1, 6)):
        reach = header_end if chance.random() < 0.6 else len(content)
        at = chance.randrange(132, min(reach, len(content)))
        content[at:at + chance.choice((1, 1, 2, 4))] = chance.randbytes(chance.choice((1, 1, 2, 4)))
    if chance.random() < 0.2:
        del content[chance.randrange(132, len(content)):]
    print(number, name, flush=True)
    try:
        attempt(bytes(content))
    except VigilError as error:
        assert error.category is not Category.INTERNAL
print("whole", len(files))
"""


def fuzz(seed: int, count: int, timeout_s: float) -> None:
    paths = [ROOT / "plugin", ROOT / "scripts", Path(__file__).parent]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(seed), str(count), str(MEMORY_BYTES), *map(str, paths)],
        capture_output=True, text=True, timeout=timeout_s, check=False)
    last = done.stdout.strip().rsplit("\n", maxsplit=1)[-1]
    assert (done.returncode, last.split(" ")[0]) == (0, "whole"), f"at {last}: {done.stderr[-2000:]}"
    assert int(last.split(" ")[1]) >= 25, "of every kind"


def test_damaged_frames_and_colours_are_read_or_refused_with_a_named_reason() -> None:
    fuzz(0, 300, 200)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_many_more_damaged_frames_and_colours() -> None:
    fuzz(10_000 * int(os.environ.get("VIGIL_SOAK_SEED", "1")), 10_000, 1400)
