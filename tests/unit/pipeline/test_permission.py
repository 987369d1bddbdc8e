from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from vigil.domain.answer import Analysis, Answer, AnswerKind
from vigil.inference.registry import Registry
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.pipeline.permission import ModelMissing, Permission
from vigil.settings import Settings, load

MODEL = "hyperdense-volume-ct-head"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POSITIVE = Answer(AnswerKind.POSITIVE, "Hyperdense volume 19.6 mL, at or above the threshold of 5.0 mL.")


def settings(tmp_path: Path, **models: dict[str, object]) -> Settings:
    return load({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(tmp_path), "Models": models}})


def permission(site: Settings, *, installed: bool = True) -> Permission:
    models = {model.model_id: model for model in Registry(BUNDLED_MODELS).installed()} if installed else {}
    return Permission(site, models, NOW)


def analysis(stage: str = "live") -> Analysis:
    return Analysis(
        analysis_id="a", orthanc_study_id="s", study_instance_uid="1.2", model_id=MODEL, model_version="1.0.0",
        weights_sha256="w", operating_point="default", renderer_version="1", settings_sha256="x", inputs_sha256="i",
        inputs=(), created_at=NOW, correlation_id="c", stage=stage, arrived_at=NOW, study_started_at=NOW)


def test_a_live_model_may_store(tmp_path: Path) -> None:
    assert permission(settings(tmp_path, **{MODEL: {"Stage": "live"}})).to_store(analysis(), POSITIVE).allowed


def test_a_model_that_was_switched_off_since_may_not(tmp_path: Path) -> None:
    for models in ({}, {MODEL: {"Stage": "off"}}, {MODEL: {"Stage": "shadow"}}):
        assert not permission(settings(tmp_path, **models)).to_store(analysis(), POSITIVE).allowed


def test_what_was_answered_in_shadow_stays_in_shadow_when_the_model_goes_live(tmp_path: Path) -> None:
    site = settings(tmp_path, **{MODEL: {"Stage": "live"}})

    assert not permission(site).to_store(analysis(stage="shadow"), POSITIVE).allowed


def test_an_answer_waits_for_a_model_that_is_missing(tmp_path: Path) -> None:
    site = settings(tmp_path, **{MODEL: {"Stage": "live"}})

    with pytest.raises(ModelMissing, match="install it again"):
        permission(site, installed=False).to_store(analysis(), POSITIVE)


def test_a_research_model_alerts_only_where_somebody_answers_for_it(tmp_path: Path) -> None:
    kinds = frozenset({AnswerKind.POSITIVE})
    alone = settings(tmp_path, **{MODEL: {"Stage": "live"}})
    answered_for = settings(tmp_path, **{MODEL: {"Stage": "live", "AlertOverride": {
        "By": "A person", "Reason": "A test", "Date": "2026-11-23"}}})

    assert not permission(alone).to_alert(analysis(), POSITIVE, kinds, NOW, alerted_before=False).allowed
    assert permission(answered_for).to_alert(analysis(), POSITIVE, kinds, NOW, alerted_before=False).allowed
