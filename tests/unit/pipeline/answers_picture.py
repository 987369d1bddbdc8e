"""Makes docs/images/answers.png, the six answers as a radiologist sees them, from the objects of a trial:
build/venv-dev/bin/python tests/unit/pipeline/answers_picture.py

Run it after the summary's looks or words were changed, and look at what it made.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from uuid import uuid4

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(REPOSITORY / "plugin")]
# ruff: noqa: E402 - what follows is found by the line above

from PIL import Image
from pydicom import dcmread

from vigil.domain.answer import AnswerKind
from vigil.pipeline.trial_results import trial_set
from vigil.pipeline.trial_study import TrialStudy, make_trial_study
from vigil.results.options import ResultOptions

PICTURE = REPOSITORY / "docs" / "images" / "answers.png"
COLUMNS, TILE_PIXELS, GAP_PIXELS = 3, 520, 12


def summary(study: TrialStudy, kind: AnswerKind, now: datetime) -> Image.Image:
    made = trial_set(study, kind, REPOSITORY / "models", now, "vigil", ResultOptions())
    dicom, = (item.dicom for item in made if item.role == "summary")
    return Image.fromarray(dcmread(BytesIO(dicom)).pixel_array)


def main() -> None:
    now = datetime.now(UTC)
    study = make_trial_study(now, uuid4)
    step = TILE_PIXELS + GAP_PIXELS
    rows = -(-len(AnswerKind) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * step - GAP_PIXELS, rows * step - GAP_PIXELS), "white")
    for index, kind in enumerate(AnswerKind):
        tile = summary(study, kind, now).resize((TILE_PIXELS, TILE_PIXELS), Image.Resampling.LANCZOS)
        sheet.paste(tile, (index % COLUMNS * step, index // COLUMNS * step))
    sheet.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
