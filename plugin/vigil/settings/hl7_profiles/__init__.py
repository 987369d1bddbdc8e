"""The profiles of HL7 receivers that are shipped, each a JSON file with the keys of orthanc.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NAMES = ("standard", "legacy-2.3.1", "minimal")


def shipped(name: str) -> dict[str, Any]:
    """The values of one of :data:`NAMES`."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def with_base(profile: object) -> object:
    """A profile as the file writes it, with the values of its "Base" where it gives none. What is no profile, or names no
    shipped one, is left to the validation, which tells it."""
    if not isinstance(profile, Mapping) or profile.get("Base") not in NAMES:
        return profile
    return {**shipped(profile["Base"]), **profile}
