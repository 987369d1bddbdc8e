"""Whoever writes a wrong manifest is told the line, the key and the cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_cases import content, manifest_of, text_of

from vigil.domain.errors import Category
from vigil.inference.errors import ManifestInvalid
from vigil.inference.manifest_file import parse_manifest, read_manifest

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "hyperdense-volume-ct-head" / "manifest.yaml"
TEXT = text_of(manifest_of("case", content()))


def line_of(text: str, beginning: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith(beginning))


def fault(text: str) -> str:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text)
    assert caught.value.category is Category.MODEL_INVALID
    return caught.value.message


def test_a_right_manifest_is_read() -> None:
    assert parse_manifest(TEXT).id == "case"
    assert read_manifest(SHIPPED).id == SHIPPED.parent.name


def test_a_misspelt_key_is_named_with_its_line() -> None:
    text = TEXT.replace("minimum_slices:", "minimum_slicse:")
    message = fault(text)
    line = line_of(text, "minimum_slicse:")
    assert f"manifest.yaml, line {line}, inputs.0.minimum_slicse: this key is not known" in message
    assert "inputs.0.minimum_slices: this key is required; add it" in message


def test_a_wrong_value_is_named_with_its_line_inside_a_kind() -> None:
    text = TEXT.replace("minimum_component_ml: 0.1", "minimum_component_ml: -1")
    line = line_of(text, "minimum_component_ml")
    assert f"line {line}, postprocessing.minimum_component_ml: Input should be greater than or equal to 0" in fault(text)


def test_every_fault_is_named_at_once() -> None:
    message = fault(TEXT.replace("version: 1.0.0", "version: one").replace("unit: mL", "unit: litre"))
    assert "line 3, version:" in message
    assert "unit 'litre' is not known; one of mL" in message


@pytest.mark.parametrize(("text", "said"), [
    ("", "must be a mapping that begins with 'schema_version: 1'"),
    ("- 1\n- 2\n", "must be a mapping"),
    ("a: [1\nb: 2\n", "line 2"),
    ("a: \t\tb: c: d\n", "line 1"),
    ("\x00", "not YAML"),
    ("{[1]: 2}", ""),
    ("!!python/object/apply:os.system ['true']", ""),
    ("a: &x 1\nb: *x\n", "anchors (&) or aliases (*)"),
    ("id: a\nname: b\nid: c\n", "line 3, id: this key stands here twice"),
    ("a:\n  - b: 1\n    b: 2\n", "line 3, a.b: this key stands here twice"),
    ("[" * 300, ""),
])  # fmt: skip
def test_what_is_no_manifest_is_one_clear_sentence(text: str, said: str) -> None:
    message = fault(text)
    assert said in message
    assert "Traceback" not in message


def test_a_sentence_may_hold_only_what_is_known() -> None:
    assert "{value}, {unit} and {threshold}, and nothing else" in fault(TEXT.replace("{value} {unit}, below", "{patient}, below"))


def test_a_manifest_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestInvalid, match="must be UTF-8"):
        read_manifest(path)
    path.write_text("#" * (1 << 20) + "\n" + TEXT)
    with pytest.raises(ManifestInvalid, match="larger than 1 MiB"):
        read_manifest(path)
