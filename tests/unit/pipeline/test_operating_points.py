"""Which operating point a study is judged at: from the site's settings through roster, evaluator and analyst. A setting that
names what the model does not have stops that model at the start, and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dense_site import Opener, Site, install, manifest
from pydantic import ValidationError

from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest
from vigil.pipeline.reconcile import CURED_BY_A_START
from vigil.pipeline.roster import models_state

POINTS: dict[str, Any] = {
    "default": {"positive": 30.0, "indeterminate": 5.0}, "sensitive": {"positive": 5.0}, "specific": {"positive": 20.0},
    "of one scanner": {"positive": 8.0, "for": {"manufacturers": ["siemens"], "models": ["force", "drive"]}},
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("models"), "dense", "other", points=POINTS)


@pytest.fixture
def site(opener: Opener, packages: Path) -> Callable[..., Site]:
    return lambda **of_dense: opener.open(packages, {"dense": {"Stage": "live", **of_dense}, "other": {"Stage": "live"}})


SCANNERS = [{"Manufacturer": "siemens", "OperatingPoint": "sensitive"}, {"Manufacturer": "ge", "OperatingPoint": "specific"}]


def test_one_value_of_the_network_is_answered_by_the_scanner_that_made_the_images(site: Callable[..., Site]) -> None:
    started = site(Scanners=SCANNERS)
    told = {maker: started.answer(maker) for maker in ("SIEMENS", "GE MEDICAL SYSTEMS", "Canon")}
    assert {answer.measured.value for _, answer in told.values() if answer.measured is not None} == {12.0}
    assert {maker: (point, answer.kind) for maker, (point, answer) in told.items()} == {
        "SIEMENS": ("sensitive", AnswerKind.POSITIVE), "GE MEDICAL SYSTEMS": ("specific", AnswerKind.NEGATIVE),
        "Canon": ("default", AnswerKind.INDETERMINATE)}
    assert [answer.criterion.threshold for _, answer in told.values() if answer.criterion is not None] == [5.0, 20.0, 30.0]


@pytest.mark.parametrize("wrong", [
    {"OperatingPoint": "sensitve"},
    {"Scanners": [*SCANNERS, {"Manufacturer": "canon", "OperatingPoint": "sensitve"}]},
], ids=["for all", "for one scanner"])
def test_a_point_that_the_model_has_not_stops_it_at_the_start_and_no_other(
    site: Callable[..., Site], wrong: dict[str, Any]
) -> None:
    started = site(**wrong)
    problem = started.roster["dense"].problem
    assert problem is not None
    assert problem.category is Category.SETTINGS_INVALID
    assert problem.category in CURED_BY_A_START, "what it was refused is looked at again, once the setting is right"
    assert "Vigil.Models.dense." in problem.text
    assert "an operating point 'sensitve' that the model does not have; give one of default, of one scanner, sensitive, spec" in (
        problem.text)
    told = {item["id"]: (item["problem"], item["runtime"]) for item in
            models_state(started.roster, started.settings, started.runtime)}
    assert told["dense"] == ({"category": "settings-invalid", "text": problem.text}, "not loaded")
    assert told["other"][0] is None
    _, answer = started.answer("SIEMENS")
    assert answer.kind is AnswerKind.FAILED, "also for a scanner whose own rule is right: nobody knows what else was meant"
    assert "This is not a negative result" in answer.sentence
    assert started.answer("SIEMENS", name="other")[1].kind is AnswerKind.INDETERMINATE


@pytest.mark.parametrize(("scanner", "why"), [
    ({"Manufacturer": "siemens", "Model": "force"}, None),
    ({"Manufacturer": "SIEMENS Healthineers", "Model": "Somatom Drive"}, None),
    ({"Manufacturer": "siemens"}, "Scanners[0].OperatingPoint"),
    ({"Manufacturer": "siemens", "Model": "go"}, "Scanners[0].OperatingPoint"),
    ({"Manufacturer": "ge", "Model": "force"}, "Scanners[0].OperatingPoint"),
    ({}, "dense.OperatingPoint"),
])
def test_a_point_that_is_meant_for_a_scanner_is_given_to_no_other(
    site: Callable[..., Site], scanner: dict[str, str], why: str | None
) -> None:
    point = {"OperatingPoint": "of one scanner"}
    started = site(**({"Scanners": [scanner | point]} if scanner else point))
    problem = started.roster["dense"].problem
    assert (problem is None) is (why is None)
    if problem is not None and why is not None:
        assert why in problem.text
        assert "for scanners of manufacturer siemens of model force or drive alone" in problem.text
        assert "give one of default, sensitive, specific" in problem.text
    elif problem is None:
        assert started.answer("Siemens Healthineers", scanner["Model"])[0] == "of one scanner"


def test_the_point_of_every_scanner_is_meant_for_no_single_one() -> None:
    described = manifest("dense", b"", {}, {"default": POINTS["of one scanner"]})
    with pytest.raises(ValidationError, match=r"operating_points\.default is for every scanner"):
        Manifest.model_validate(described)
