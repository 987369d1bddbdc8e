"""Orthanc's configuration as it lies on disk: JSON with comments, in one file or in a folder of files.

Inside Orthanc nothing of this is needed (it hands its configuration over); the command line checks files with it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from vigil.settings.errors import Fault, SettingsInvalid

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def without_comments(text: str) -> str:
    """The text with // and /* */ comments blanked. Strings are left alone, and every line keeps its number."""
    return TOKEN.sub(lambda found: found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0]), text)


def read_configuration(path: Path) -> dict[str, object]:
    """Orthanc's configuration from a file, or from every ``*.json`` of a folder, as Orthanc merges them.

    Raises :class:`SettingsInvalid` where a file cannot be read, is no JSON, or two files define one key.
    """
    merged, faults = merge_configuration(path)
    if faults:
        raise SettingsInvalid(faults)
    return merged


def merge_configuration(path: Path) -> tuple[dict[str, object], list[Fault]]:
    """What can be read of it, with every fault, for whoever looks at a broken one. Of a key that is defined twice the last."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    merged: dict[str, object] = {}
    faults = [] if files else [Fault(str(path), "holds no *.json file")]
    defined: dict[str, Path] = {}
    for file in files:
        for key, value in _read(file, faults).items():
            if key in defined:
                faults.append(Fault(key, f"is defined twice, the second time in {file}; Orthanc accepts it once"))
            merged[key] = value
            defined[key] = file
    return merged, faults


def _read(file: Path, faults: list[Fault]) -> dict[str, object]:
    try:
        content = json.loads(without_comments(file.read_text(encoding="utf-8-sig")))
    except json.JSONDecodeError as error:
        faults.append(Fault(str(file), f"is no JSON at line {error.lineno}, column {error.colno}: {error.msg}"))
    except UnicodeDecodeError:
        faults.append(Fault(str(file), "is not encoded in UTF-8"))
    except RecursionError:
        faults.append(Fault(str(file), "is nested too deeply"))
    except OSError as error:
        faults.append(Fault(str(file), f"cannot be read: {error.strerror}"))
    else:
        if isinstance(content, dict):
            return content
        faults.append(Fault(str(file), "must hold one JSON object"))
    return {}
