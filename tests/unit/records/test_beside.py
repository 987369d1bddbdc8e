"""A command that opens the ledger beside Orthanc, and ends, takes nothing away from it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vigil.domain.answer import Analysis
from vigil.records.database import Database
from vigil.records.ledger import Ledger
from vigil.records.state import StatePaths

COMMAND = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("UPDATE installation SET change_cursor = change_cursor + 1")
connection.close()
"""


def test_the_log_of_a_ledger_in_use_outlives_a_command_and_each_sees_what_the_other_wrote(
    ledger: Ledger, paths: StatePaths, make_analysis: Callable[..., Analysis], clock: Any,
) -> None:
    ledger.install_once(7)
    log = Path(f"{paths.ledger}-wal")
    database: Database = ledger._database
    for turn in range(1, 4):
        # A pool of connections, opened and closed while others are in use: none may let go of another's locks.
        with database.read() as first, database.read() as second, database.read() as third:
            assert {one.exec_driver_sql("SELECT change_cursor FROM installation").scalar_one()
                    for one in (first, second, third)} == {6 + turn}
            Database(paths.ledger_url).close()
        subprocess.run([sys.executable, "-c", COMMAND, str(paths.ledger)], check=True, timeout=30)
        assert log.exists(), "the command was not the last to hold it"
        assert ledger.change_cursor() == 7 + turn
        ledger.begin_analysis(make_analysis(f"a{turn}"))
        with sqlite3.connect(paths.ledger) as outside:
            assert outside.execute("SELECT count(*) FROM analysis").fetchone() == (turn,)
        outside.close()
