"""What the tests run in another process, on the state folder that is named first."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path

from sqlalchemy import Engine, event

from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.clock import SystemClock
from vigil.records.audit import Audit
from vigil.records.ledger import Ledger
from vigil.records.rotation import rotate_key
from vigil.records.sealing import Sealer
from vigil.records.state import StateFolder, StatePaths
from vigil.results.objects import ResultObject, Role

MOST_STEPS = 200


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


def rotate(paths: StatePaths) -> None:
    """Changes the sealing key on copies of the folder, in ``steps/1``, ``steps/2`` ...: each is killed one step later than the
    one before, until one comes through. Says what the steps are."""
    number, reached = 0, True
    while reached and number < MOST_STEPS:
        number += 1
        copy = paths.path / "steps" / str(number)
        shutil.copytree(paths.path, copy, ignore=shutil.ignore_patterns("steps"))
        inside, outside = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(inside)
            _rotate_until(StatePaths(copy), number, outside)
        os.close(outside)
        with os.fdopen(inside) as told:
            step = told.read()
        _, status = os.waitpid(child, 0)
        reached = os.WIFSIGNALED(status)
        if reached:
            say(step)


def _rotate_until(paths: StatePaths, number: int, outside: int) -> None:
    """Steps: what is asked of the file system and of the database, from the making of the new key on."""
    seen = 0

    def step(name: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.write(outside, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def asked(name: str, _: object) -> None:
        if name == "os.link" or (seen and name in ("os.rename", "os.remove")):
            step(name)

    def stated(*arguments: object) -> None:
        if seen:
            step(str(arguments[2]).split(maxsplit=1)[0])

    def committing(_: object) -> None:
        if seen:
            step("commit")

    sys.addaudithook(asked)
    event.listen(Engine, "after_cursor_execute", stated)
    event.listen(Engine, "commit", committing)
    rotate_key(paths, SystemClock(), "Ann Roe")
    os._exit(0)


if __name__ == "__main__":
    folder, what, *rest = sys.argv[1:]
    {"hold": hold, "lock": lock, "write": write, "die": die, "rotate": rotate}[what](StatePaths(Path(folder)), *rest)
