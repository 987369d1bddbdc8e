"""Model packages are made as the tests of the inference make them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))
