"""What the installer did, so that it can be undone: kept in the prefix, written before anything of the site is touched."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from installer.edit import Edit, write
from installer.refused import Cause, Refused

FILE = "installation.json"


@dataclass(frozen=True)
class Edited:
    """``before``: the file's bytes in base64 (None: it is ours); ``script_before``: what "PythonScript" was in it, as JSON."""

    file: str
    before: str | None
    after_sha256: str
    script_before: str | None = None


@dataclass(frozen=True)
class Record:
    """``version``, ``previous``: the release that runs, and the one before it. ``site_script``: the site's own, which goes on."""

    version: str
    previous: str | None
    configuration: str
    state: str
    user: str
    site_script: str | None
    edited: tuple[Edited, ...] = ()

    def with_edits(self, edits: tuple[Edit, ...], scripts: dict[Path, str]) -> Record:
        known = {item.file for item in self.edited}
        return replace(
            self,
            edited=self.edited
            + tuple(
                Edited(
                    str(edit.file),
                    None if edit.before is None else base64.b64encode(edit.before).decode(),
                    edit.after_sha256,
                    scripts.get(edit.file),
                )
                for edit in edits
                if str(edit.file) not in known
            ),
        )


def read(prefix: Path) -> Record | None:
    try:
        content = json.loads((prefix / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Refused(
            Cause.NOT_INSTALLED,
            f"{prefix / FILE} cannot be read ({error}). Put its backup back, or take Vigil out by hand (docs/installation.md).",
        ) from None
    content["edited"] = tuple(Edited(**item) for item in content["edited"])
    return Record(**content)


def keep(prefix: Path, record: Record) -> None:
    write(prefix / FILE, json.dumps(asdict(record), indent=1).encode(), like=None, mode=0o600)
