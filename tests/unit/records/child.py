"""What the tests run in another process, on the state folder that is named first."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

from sqlalchemy import event

from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.clock import SystemClock
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths
from vigil.results.objects import ResultObject, Role


def say(text: str) -> None:
    print(text, flush=True)


def open_ledger(paths: StatePaths) -> Ledger:
    return Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())


def hold(paths: StatePaths) -> None:
    """Holds the state folder until its input ends."""
    with StateFolder(paths.path):
        say("held")
        sys.stdin.read()


def lock(paths: StatePaths, seconds: str) -> None:
    """Keeps every other writer of the ledger out for a time."""
    connection = sqlite3.connect(paths.ledger, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    say("locked")
    time.sleep(float(seconds))
    connection.execute("COMMIT")
    connection.close()


def write(paths: StatePaths, name: str, count: str) -> None:
    """Opens the ledger as soon as the word is given, and writes into it and its audit."""
    say("ready")
    sys.stdin.readline()
    ledger = open_ledger(paths)
    ledger.install_once(7)
    audit, clock = Audit(ledger), SystemClock()
    for number in range(int(count)):
        ledger.touch_studies([f"{name}-{number}", "shared"], clock.now())
        audit.append("touched", f"{name}-{number}", actor=name, role="system", evidence={"number": number})
    ledger.close()
    say("done")


def die(paths: StatePaths, statement: str) -> None:
    """Freezes an answer with three objects and kills itself after its ``statement``-th statement (0: before the commit)."""
    ledger = open_ledger(paths)
    seen: list[str] = []

    def count(*arguments: object) -> None:
        seen.append(str(arguments[2]).split(maxsplit=1)[0])
        if len(seen) == int(statement):
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(ledger._database.engine, "after_cursor_execute", count)
    if statement == "0":
        event.listen(ledger._database.engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    objects = [ResultObject(Role.KEY_SLICE, index, "1.2", f"2.25.{index}", "2.25.9", os.urandom(300_000)) for index in range(3)]
    ledger.freeze_answer("a1", Answer(AnswerKind.NEGATIVE, "sentence"), objects)
    say(" ".join(seen))


if __name__ == "__main__":
    folder, what, *rest = sys.argv[1:]
    {"hold": hold, "lock": lock, "write": write, "die": die}[what](StatePaths(Path(folder)), *rest)
