"""Every code that ships is in pydicom's dictionary, is our own, or stands on the reviewed list with its source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

sys.path[:0] = [str(Path(__file__).parent)]
# ruff: noqa: E402 - what follows is found by the line above

from code_table import FOR_AUTHORS, OWN, PAGE, REPOSITORY, TABLE, UNSURE, in_dictionary, page, sections, shipped

from vigil.domain import codes
from vigil.domain.concepts import Code

SHIPPED = shipped()
PLUGIN = TABLE.parents[1]
NAMES_OF_CODES = {"Code", "SrCode", "CodedConcept"}


def written_codes() -> Iterator[tuple[Path, Code]]:
    """Every code that stands in the plugin as three words, wherever that is."""
    for path in sorted(PLUGIN.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES_OF_CODES:
                words = [part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                if len(words) == 3 and words[0]:
                    yield path, Code(*words)


def known(code: Code) -> bool:
    return code.scheme == OWN or in_dictionary(code) or (code.value, code.scheme) in codes.REVIEWED


@pytest.mark.parametrize("code", SHIPPED, ids=str)
def test_each_code_is_known_our_own_or_reviewed(code: Code) -> None:
    assert known(code)


@pytest.mark.parametrize("code", SHIPPED, ids=str)
def test_each_code_fits_its_dicom_attributes(code: Code) -> None:
    assert 1 <= len(code.value) <= 16
    assert 1 <= len(code.scheme) <= 16
    assert 1 <= len(code.meaning) <= 64


def test_the_table_holds_every_code_of_its_module() -> None:
    written = [code for path, code in written_codes() if path == TABLE]
    assert len(written) > 40
    assert set(written) <= set(SHIPPED)
    assert set(codes.UNITS.values()) <= set(SHIPPED)


def test_no_two_codes_of_the_table_have_one_value() -> None:
    assert len({(code.value, code.scheme) for code in SHIPPED}) == len(SHIPPED)


def test_the_results_write_no_code_that_is_not_in_the_table() -> None:
    """Move it into ``vigil.domain.codes``."""
    assert [f"{path.name}: {code}" for path, code in written_codes() if PLUGIN / "results" in path.parents] == []


def test_codes_of_other_rooms_are_known_as_well() -> None:
    elsewhere = [(path, code) for path, code in written_codes() if path != TABLE]
    assert elsewhere
    assert [f"{path.name}: {code}" for path, code in elsewhere if not known(code) and path.name != "concepts.py"] == []


def test_the_codes_of_the_models_that_come_with_vigil_are_in_the_table() -> None:
    for path in sorted((REPOSITORY / "models").glob("*/manifest.yaml")):
        finding = yaml.safe_load(path.read_text())["finding"]
        for key in ("concept", "category", "site", "measurement"):
            entry = finding[key]
            assert Code(entry["value"], entry["scheme"], entry["meaning"]) in SHIPPED, f"{path}: {key}"


def test_no_reviewed_code_is_in_the_dictionary_or_unused() -> None:
    in_use = {(code.value, code.scheme) for code in (*SHIPPED, *(code for _, code in written_codes()))}
    for value, scheme in codes.REVIEWED:
        assert (value, scheme) in in_use
        assert not in_dictionary(Code(value, scheme, "x"))


def test_codes_for_authors_are_in_the_dictionary_and_unsure_ones_are_not_shipped() -> None:
    assert [code for code in FOR_AUTHORS if not in_dictionary(code)] == []
    values = {code.value for code in (*SHIPPED, *FOR_AUTHORS)}
    manifests = "".join(path.read_text() for path in (REPOSITORY / "models").glob("*/manifest.yaml"))
    for code in UNSURE:
        assert code.value not in values
        assert code.value not in manifests


def test_the_page_of_codes_is_made_of_the_table() -> None:
    """Run tests/unit/domain/code_table.py."""
    assert PAGE.read_text() == page()
    assert len(sections()) > 5
