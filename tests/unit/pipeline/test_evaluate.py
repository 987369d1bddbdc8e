from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vigil.inference.registry import InstalledModel, Registry
from vigil.pipeline.evaluate import most_urgent_first
from vigil.pipeline.house import BUNDLED_MODELS


def of_category(category: int | None) -> InstalledModel:
    head = next(model for model in Registry(BUNDLED_MODELS).installed() if model.model_id == "hyperdense-volume-ct-head")
    assert head.manifest is not None
    finding = head.manifest.finding.model_copy(update={"acr_category": category})
    return replace(head, manifest=head.manifest.model_copy(update={"finding": finding}))


def test_what_may_be_an_emergency_is_asked_first_and_the_rest_as_it_stands() -> None:
    third, first, none, second = map(of_category, (3, 1, None, 2))
    broken = InstalledModel(Path("broken"), None, "broken", None)
    assert most_urgent_first((third, none, broken, first, second)) == (first, second, third, none, broken)
