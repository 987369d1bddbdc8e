from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vigil.pipeline.flavours import options_for
from vigil.results.options import ResultOptions
from vigil.settings import Settings, load


def settings(tmp_path: Path, *profiles: str, **more: Any) -> Settings:
    nodes = {f"node-{number}": {"Host": "127.0.0.1", "Port": 104, "Aet": "A", "Profile": profile, **more}
             for number, profile in enumerate(profiles)}
    return load({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(tmp_path), "Models": {"m": {}, "n": {}}, "Pacs": nodes}})


@pytest.mark.parametrize(("profile", "flavour"), [
    ("multiframe-sc", {"multiframe": True}), ("full-frame-seg", {"full_frame": True}), ("reporting-text", {"text_report": True}),
    ("standard", {}), ("sc-only", {}), ("ohif", {}), ("weasis", {}),
])
def test_a_flavour_is_made_where_a_destination_takes_it(tmp_path: Path, profile: str, flavour: dict[str, bool]) -> None:
    assert options_for(settings(tmp_path, profile), "m") == ResultOptions(**flavour)


def test_each_destination_adds_its_own(tmp_path: Path) -> None:
    made = options_for(settings(tmp_path, "standard", "multiframe-sc", "reporting-text"), "m")
    assert (made.multiframe, made.full_frame, made.text_report) == (True, False, True)


def test_a_destination_that_does_not_take_the_model_asks_for_nothing(tmp_path: Path) -> None:
    assert options_for(settings(tmp_path, "multiframe-sc", Models=["n"]), "m") == ResultOptions()


def test_dicomweb_servers_count_and_where_there_is_none_the_set_is_the_usual(tmp_path: Path) -> None:
    section = {"SchemaVersion": 1, "StateDirectory": str(tmp_path)}
    assert options_for(load({"Vigil": section}), "m") == ResultOptions()
    web = {"DicomWeb": {"web": {"Url": "https://archive.example.org/dicom-web", "Profile": "full-frame-seg"}}}
    assert options_for(load({"Vigil": section | web}), "m").full_frame
