from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vigil.domain.manifest import FurtherFinding
from vigil.inference.registry import InstalledModel, Registry
from vigil.pipeline.evaluate import most_urgent_first
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.pipeline.urgency import is_emergency
from vigil.settings import Settings


def of_category(category: int | None) -> InstalledModel:
    head = next(model for model in Registry(BUNDLED_MODELS).installed() if model.model_id == "hyperdense-volume-ct-head")
    assert head.manifest is not None
    finding = head.manifest.finding.model_copy(update={"acr_category": category})
    return replace(head, manifest=head.manifest.model_copy(update={"finding": finding}))


def test_what_may_be_an_emergency_is_asked_first_and_the_rest_as_it_stands() -> None:
    third, first, none, second = map(of_category, (3, 1, None, 2))
    broken = InstalledModel(Path("broken"), None, "broken", None)
    assert most_urgent_first((third, none, broken, first, second)) == (first, second, third, none, broken)


def test_a_model_is_as_urgent_as_the_gravest_that_it_may_find(settings: Callable[..., Settings]) -> None:
    """Of several findings the main one need not be the emergency."""
    plain, second = map(of_category, (None, 2))
    assert plain.manifest is not None
    also = FurtherFinding.model_validate(plain.manifest.finding.model_dump() | {
        "acr_category": 1, "operating_points": {"default": {"positive": 1.0}}})
    several = replace(plain, manifest=plain.manifest.model_copy(update={"further_findings": (also,)}))
    assert most_urgent_first((second, plain, several)) == (several, second, plain)
    site = settings(Models={several.model_id: {"Stage": "live"}})
    assert is_emergency(several, site)
    assert not is_emergency(plain, site)
