"""Makes the objects that the delivery room's tests send importable here too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "delivery"))
