"""Logs as JSON lines: a fixed ``action``, a correlation id from the event to the acknowledgement, and no patient data (law 9).

Only ids that Vigil or Orthanc derived, names of models and destinations, counts and categories are logged. Free text from an
exception of a library may quote a header, so of a foreign exception only its type is kept.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_BYTES = 10 * 1024 * 1024
LOG_FILES = 5
QUOTING_LIBRARIES = ("pydicom", "highdicom", "pynetdicom")
"""Their warnings quote values (highdicom: a patient's name of one word), and stderr is Orthanc's log."""


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "action": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _where(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def _where(error: BaseException) -> dict[str, object]:
    """Type and place of an exception: its text may quote a patient."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return {"type": type(error).__name__, "trace": frames[-8:]}


class Log:
    """One line an action, with the fields that belong to it."""

    def __init__(self, logger: logging.Logger, **fields: object) -> None:
        self._logger = logger
        self._fields = fields

    def bind(self, **fields: object) -> Log:
        """The same log, with these fields in every line."""
        return Log(self._logger, **{**self._fields, **fields})

    def info(self, action: str, **fields: object) -> None:
        self._write(logging.INFO, action, fields)

    def warning(self, action: str, **fields: object) -> None:
        self._write(logging.WARNING, action, fields)

    def error(self, action: str, *, exception: BaseException | None = None, **fields: object) -> None:
        self._write(logging.ERROR, action, fields, exception)

    def _write(self, level: int, action: str, fields: dict[str, object], exception: BaseException | None = None) -> None:
        self._logger.log(level, action, extra={"fields": {**self._fields, **fields}}, exc_info=exception)


class PrivateFiles(RotatingFileHandler):
    """For their owner alone, whatever the umask."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, opener=lambda path, flags: os.open(path, flags, 0o600))


def open_log(folder: Path, level: str) -> Log:
    """The log of this process, in ``folder``/vigil.jsonl, rotated at 10 MiB."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for library in QUOTING_LIBRARIES:
        warnings.filterwarnings("ignore", module=rf"({library}|vigil)(\.|$)")  # some name their caller as the place
        logging.getLogger(library).addHandler(logging.NullHandler())
    logger = logging.getLogger("vigil")
    logger.setLevel(level.upper())
    logger.propagate = False
    close_log()
    handler = PrivateFiles(folder / "vigil.jsonl", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    return Log(logger)


def close_log() -> None:
    logger = logging.getLogger("vigil")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
