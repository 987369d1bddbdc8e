"""One place of a configuration is edited, and nothing else of the text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer import jsonc

TEXT = """{
  // "PythonScript" : "no",
  "A" : { "PythonScript" : "nor this" }, /* { */ "PythonScript" : "/etc/x.py",
  "B//" : [1, {"x": "}"}]
}
"""


def test_the_outermost_keys_are_found_past_comments_and_strings() -> None:
    assert [each.key for each in jsonc.entries(TEXT)] == ["A", "PythonScript", "B//"]
    place = jsonc.entry(TEXT, "PythonScript")
    assert place is not None
    assert TEXT[place.begin : place.end] == '"/etc/x.py"'


def test_only_the_value_changes_and_back_again_it_is_the_same_text() -> None:
    changed = jsonc.with_value(TEXT, "PythonScript", '"/opt/vigil/door.py"')
    assert jsonc.parsed(changed)["PythonScript"] == "/opt/vigil/door.py"
    assert jsonc.with_value(changed, "PythonScript", '"/etc/x.py"') == TEXT


def test_what_is_no_json_is_told_by_its_line() -> None:
    with pytest.raises(jsonc.NotJson, match="line 2"):
        jsonc.parsed('{\n "a" : }')
    with pytest.raises(jsonc.NotJson, match="no JSON object"):
        jsonc.parsed("[1]")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    content=st.dictionaries(st.text(min_size=1, max_size=6), VALUES, min_size=1, max_size=6),
    data=st.data(),
    indent=st.sampled_from([None, 1]),
)
def test_any_key_of_any_configuration(content: dict[str, object], data: st.DataObject, indent: int | None) -> None:
    text = json.dumps(content, indent=indent).replace("{", '{ /* " */ // }\n', 1)
    assert [each.key for each in jsonc.entries(text)] == list(content)
    key = data.draw(st.sampled_from(list(content)))
    assert jsonc.parsed(jsonc.with_value(text, key, '{"new": [1]}')) == content | {key: {"new": [1]}}
    assert jsonc.parsed(jsonc.with_first(text, '"\\u0000first" : 1,')) == {"\0first": 1} | content
