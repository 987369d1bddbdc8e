"""DCMTK's dsrdump: a report's tree, read by a parser that refuses a broken one."""

from __future__ import annotations

from pathlib import Path

from validators.tools import Verdict, from_system, run


def dsrdump(path: Path) -> Verdict:
    return run([from_system("dsrdump", "dcmtk"), "-q", "+Pn", str(path)], "E:")


def whole_tree(path: Path) -> str:
    """The tree in words, with every code and every text in full."""
    return run([from_system("dsrdump", "dcmtk"), "-q", "+Pn", "+Pc", "+Pl", str(path)], "E:").output
