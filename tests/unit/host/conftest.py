from __future__ import annotations

import sys
from pathlib import Path

# The stand-in lies beside the tests; --import-mode=importlib puts no folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))
