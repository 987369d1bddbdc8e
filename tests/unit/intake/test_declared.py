from __future__ import annotations

from dataclasses import replace

import pytest

from vigil.intake import declared as module
from vigil.intake.declared import DeclaredCounts


@pytest.fixture(scope="module")
def declaring(head_headers):
    return [replace(header, images_in_acquisition=40) for header in head_headers]


def test_the_last_image_of_a_declared_number_completes_it_in_any_order(declaring):
    counts = DeclaredCounts(20)
    assert [counts.completes(header) for header in declaring[::-1]] == [False] * 39 + [True]


def test_an_image_that_is_sent_twice_counts_once(declaring):
    counts = DeclaredCounts(20)
    assert not any(counts.completes(header) for header in [*declaring[:39], *declaring[:39]])
    assert counts.completes(declaring[39])


def test_two_acquisitions_and_two_series_are_counted_apart(declaring):
    counts = DeclaredCounts(20)
    others = [replace(header, acquisition_number=2) for header in declaring[:20]]
    others += [replace(header, series_instance_uid="1.2.9") for header in declaring[:20]]
    assert not any(counts.completes(header) for header in [*declaring[:20], *others])


@pytest.mark.parametrize("count", [None, 0, 1, 19, -40])
def test_a_number_that_no_model_could_want_is_of_no_interest(declaring, count):
    counts = DeclaredCounts(20)
    assert not any(counts.completes(replace(header, images_in_acquisition=count)) for header in declaring)


def test_it_keeps_no_more_than_its_number_of_acquisitions(declaring, monkeypatch):
    monkeypatch.setattr(module, "ACQUISITIONS", 3)
    counts = DeclaredCounts(20)
    for header in declaring[:39]:
        counts.completes(header)
    for number in range(3):
        counts.completes(replace(declaring[0], series_instance_uid=f"1.2.{number}"))
    assert not counts.completes(declaring[39]), "forgotten, and found when the study is stable"
