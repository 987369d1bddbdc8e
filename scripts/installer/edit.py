"""The one change to the site's configuration, and its exact way back.

Kept before anything is written: the file's bytes, and the checksum of what the file becomes. Where the site has not touched it
since, the way back is byte for byte; where it has, only what is ours is taken out.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from installer import jsonc
from installer.bundle import not_written
from installer.refused import Cause, Refused
from installer.site import Site

OPENING, CLOSING = "// >>> Vigil: written by its installer", "// <<< Vigil"
OWN_FILE = "vigil.json"


@dataclass(frozen=True)
class Edit:
    """``before`` is None where the file is ours alone."""

    file: Path
    before: bytes | None
    after: bytes

    @property
    def after_sha256(self) -> str:
        return hashlib.sha256(self.after).hexdigest()


def planned(site: Site, door: Path, settings: str, allow_threads: bool) -> tuple[Edit, ...]:
    """``settings``: the text of the section "Vigil" for a site that has none."""
    script = json.dumps(str(door))
    fresh = [] if "Vigil" in site.values else [f'"Vigil" : {settings}']
    if allow_threads and "Python" not in site.values:
        fresh.insert(0, '"Python" : { "AllowThreads" : true }')
    texts = dict(site.texts)
    if "PythonScript" in site.values:
        file = site.defined["PythonScript"]
        if site.values["PythonScript"] != str(door):
            texts[file] = jsonc.with_value(texts[file], "PythonScript", script)
    else:
        fresh.insert(0, f'"PythonScript" : {script}')
    made: list[Edit] = []
    if fresh and site.is_folder:
        own = site.path / OWN_FILE
        if own in texts:
            raise Refused(
                Cause.CONFIGURATION_UNREADABLE, f'{own} is there and has no section "Vigil". Give that file another name.'
            )
        made.append(Edit(own, None, ("{\n  " + ",\n  ".join(fresh) + "\n}\n").encode()))
    elif fresh:
        block = f"\n  {OPENING}\n  " + ",\n  ".join(fresh) + f",\n  {CLOSING}"
        texts[site.path] = jsonc.with_first(texts[site.path], block)
    made += [Edit(file, file.read_bytes(), text.encode()) for file, text in texts.items() if text != site.texts[file]]
    return tuple(made)


def write(file: Path, content: bytes, *, like: Path | None, mode: int = 0o640, uid: int = -1, gid: int = -1) -> None:
    """Whole or not at all, with the owner and the mode of the file that it takes the place of. The name on the way ends in
    none that Orthanc reads."""
    unfinished = file.with_name(f".{file.name}.vigil-unfinished")
    try:
        with unfinished.open("wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        if like is not None:
            known = like.stat()
            mode, uid, gid = known.st_mode & 0o7777, known.st_uid, known.st_gid
        unfinished.chmod(mode)
        if os.geteuid() == 0:
            os.chown(unfinished, uid, gid)
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise not_written(error, file.parent) from None


def undone(text: str, script_before: str | None) -> str:
    """The text without what is ours, where the site has changed the file since. ``script_before``: JSON text, as it stood there.

    Raises :class:`Refused` where what is ours can no longer be told from the rest."""
    begin = text.find(OPENING)
    if begin >= 0:
        end = text.find(CLOSING, begin)
        if end < 0:
            raise Refused(Cause.CHANGED_SINCE, f'the line "{CLOSING}" is gone; take the lines after "{OPENING}" out by hand')
        start = text.rfind("\n", 0, begin)
        text = text[:start] + text[end + len(CLOSING) :]
    if script_before is not None:
        text = jsonc.with_value(text, "PythonScript", script_before)
    return text
