"""Makes docs/codes.md from the table of codes: build/venv-dev/bin/python tests/unit/domain/code_table.py

Run it after a code was added; a test compares the page with what this makes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(REPOSITORY / "plugin")]
# ruff: noqa: E402 - what follows is found by the line above

from pydicom.sr._concepts_dict import concepts

from vigil.domain import codes
from vigil.domain.concepts import Code

PAGE = REPOSITORY / "docs" / "codes.md"
TABLE = Path(codes.__file__)
OWN = "99VIGIL"


@dataclass(frozen=True)
class Section:
    """A heading of the table, with the codes below it."""

    title: str
    codes: tuple[Code, ...]


FOR_AUTHORS = (
    Code("1386000", "SCT", "Intracranial hemorrhage"),
    Code("59282003", "SCT", "Pulmonary embolism"),
    Code("36118008", "SCT", "Pneumothorax"),
    Code("60046008", "SCT", "Pleural effusion"),
    Code("27925004", "SCT", "Nodule"),
    Code("308546005", "SCT", "Dissection of aorta"),
    Code("108369006", "SCT", "Neoplasm"),
    Code("39607008", "SCT", "Lung"),
    Code("3120008", "SCT", "Pleura"),
)
"""Findings and places that no model of ours uses, and that are in pydicom's dictionary."""

UNSURE = {
    Code("95453001", "SCT", "Subdural hemorrhage"): "from memory",
    Code("21454007", "SCT", "Subarachnoid hemorrhage"): "from memory",
    Code("82999001", "SCT", "Epidural hemorrhage"): "from memory",
    Code("274100004", "SCT", "Cerebral hemorrhage"): "from memory",
    Code("23276006", "SCT", "Intraventricular hemorrhage"): "from memory",
    Code("8186001", "SCT", "Cardiomegaly"): "from memory",
    Code("95436008", "SCT", "Consolidation of lung"): "from memory",
    Code("233604007", "SCT", "Pneumonia"): "from memory",
    Code("20059004", "SCT", "Occlusion of cerebral artery"): "from memory; the vessel goes into the site",
    Code("230690007", "SCT", "Stroke"): "from memory",
}
"""Marked, and not shipped: to be looked up in a licensed SNOMED CT browser first."""


def sections() -> list[Section]:
    """As the table's own comments head them."""
    made, title = [], ""
    named: list[str] = []
    for line in [*TABLE.read_text().splitlines(), "# end"]:
        if heading := re.match(r"# (.+)$", line):
            if named:
                found = tuple(dict.fromkeys(code for name in named for code in _codes(getattr(codes, name))))
                made.append(Section(title, found))
            title, named = heading[1], []
        elif (assigned := re.match(r"([A-Z_]+) = ", line)) and assigned[1] not in ("UNITS", "CERTAINTIES"):
            named.append(assigned[1])
    return made


def shipped() -> list[Code]:
    return [code for section in sections() for code in section.codes]


def in_dictionary(code: Code) -> bool:
    return any(code.value in keyword for keyword in concepts.get(code.scheme, {}).values())


def source(code: Code) -> str:
    if code.scheme == OWN:
        return "our own"
    return codes.REVIEWED.get((code.value, code.scheme)) or "pydicom's dictionary of PS3.16"


def page() -> str:
    lines = [
        "# Codes", "",
        "Every code that Vigil writes into DICOM objects and messages, with where it was checked. This page is made of",
        "`plugin/vigil/domain/codes.py` by `tests/unit/domain/code_table.py`; a test holds both to each other, and every code to",
        "pydicom's dictionary, which carries the codes of the context groups of DICOM PS3.16.", "",
        "A model package names its own codes in its manifest; those of the packages that come with Vigil are in this table.", "",
    ]  # fmt: skip
    for section in sections():
        lines += [f"## {section.title.rstrip(':')}", "", *_table(section.codes, source), ""]
    lines += ["## For authors of model packages", "",
              "Findings and places that no model here uses yet, checked against the same dictionary.", "",
              *_table(FOR_AUTHORS, source), "",
              "## Not shipped", "",
              "Believed to be right, and not checked against a release of SNOMED CT. No object of ours bears one.", "",
              *_table(tuple(UNSURE), UNSURE.__getitem__)]  # fmt: skip
    return "\n".join(lines) + "\n"


def _table(listed: tuple[Code, ...], checked: Callable[[Code], str]) -> Iterator[str]:
    yield "| value | scheme | meaning | checked |"
    yield "|---|---|---|---|"
    for code in listed:
        yield f"| `{code.value}` | {code.scheme} | {code.meaning} | {checked(code)} |"


def _codes(value: object) -> Iterator[Code]:
    if isinstance(value, Code):
        yield value
    elif isinstance(value, dict):
        yield from (item for item in value.values() if isinstance(item, Code))


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
