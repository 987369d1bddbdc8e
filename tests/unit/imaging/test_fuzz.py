"""Damaged files of every kind: read, or refused with a named reason, and the process lives within its memory.

In a process of its own: a decoder that writes past its memory would end this one. scripts/soak tries many more.
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
import pydicom
from vigil.domain.errors import Category, VigilError
from vigil.imaging.decode import decode
from vigil.intake.header import read_header
from vigil.intake.part10 import read_instance

folder = Path(pydicom.__file__).parent / "data" / "test_files"
files = [path for path in sorted(folder.glob("*.dcm")) if path.stat().st_size < 400_000]
seed, count = int(sys.argv[1]), int(sys.argv[2])
for number in range(seed, seed + count):
    chance = random.Random(number)
    path = chance.choice(files)
    content = bytearray(path.read_bytes())
    header_end = max(200, content.find(b"\\xe0\\x7f\\x10\\x00"))
    for _ in range(chance.randint(1, 6)):
        reach = header_end if chance.random() < 0.6 else len(content)
        at = chance.randrange(132, min(reach, len(content)))
        content[at:at + chance.choice((1, 1, 2, 4))] = chance.randbytes(chance.choice((1, 1, 2, 4)))
    if chance.random() < 0.2:
        del content[chance.randrange(132, len(content)):]
    print(number, path.name, flush=True)
    dicom = bytes(content)
    try:
        read_header("id", dicom)
        decode(read_instance(dicom))
    except VigilError as error:
        assert error.category is not Category.INTERNAL
print("whole")
"""


def fuzz(seed: int, count: int, timeout_s: float) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(seed), str(count), str(MEMORY_BYTES), str(ROOT / "plugin")],
        capture_output=True, text=True, timeout=timeout_s, check=False)
    last = done.stdout.strip().rsplit("\n", maxsplit=1)[-1]
    assert (done.returncode, last) == (0, "whole"), f"at {last}: {done.stderr[-2000:]}"


def test_damaged_files_are_read_or_refused_with_a_named_reason() -> None:
    fuzz(0, 400, 200)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_many_more_damaged_files() -> None:
    fuzz(10_000 * int(os.environ.get("VIGIL_SOAK_SEED", "1")), 10_000, 1400)
