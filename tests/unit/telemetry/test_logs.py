from __future__ import annotations

import json
import warnings
from pathlib import Path

from pydicom import Dataset

from vigil.telemetry.logs import close_log, open_log


def lines(folder: Path) -> list[dict[str, object]]:
    close_log()
    return [json.loads(line) for line in (folder / "vigil.jsonl").read_text().splitlines()]


def test_each_action_is_one_json_line_with_the_fields_bound_to_it(tmp_path: Path) -> None:
    log = open_log(tmp_path, "info").bind(correlation_id="c1")
    log.info("answered", kind="positive")
    log.warning("delivery-waits", attempt=2)

    first, second = lines(tmp_path)
    assert first["action"] == "answered"
    assert first["correlation_id"] == second["correlation_id"] == "c1"
    assert first["kind"] == "positive"
    assert second["level"] == "warning"


def test_an_exception_is_told_by_type_and_place_and_never_by_its_text(tmp_path: Path) -> None:
    log = open_log(tmp_path, "info")
    try:
        raise ValueError("Doe^Jane born 19700101")
    except ValueError as error:
        log.error("broke", exception=error)

    (line,) = lines(tmp_path)
    assert "Doe" not in json.dumps(line)
    assert line["exception"]["type"] == "ValueError"  # type: ignore[index]


def test_lines_below_the_level_are_left_out(tmp_path: Path) -> None:
    log = open_log(tmp_path, "warning")
    log.info("answered")
    log.error("broke")

    assert [line["action"] for line in lines(tmp_path)] == ["broke"]


def test_a_library_that_quotes_a_patient_in_a_warning_is_not_heard(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        open_log(tmp_path, "info")
        Dataset().PatientBirthDate = "Doe"
    close_log()

    assert not heard
