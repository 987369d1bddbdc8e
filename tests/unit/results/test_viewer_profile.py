from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import pytest

from vigil.results.objects import Role
from vigil.results.viewer_profile import PROFILES, Encoding, roles_wanted, select
from vigil.settings.destinations import ProfileName, TransferSyntax


@dataclass(frozen=True)
class Thing:
    role: str
    index: int = 0

    @property
    def sop_instance_uid(self) -> str:
        return f"{self.role}.{self.index}"


STANDARD_SET = [
    Thing("summary"), *(Thing("key-slice", index) for index in range(11)), Thing("segmentation"), Thing("report"),
]
EVERY = [*STANDARD_SET, *(Thing(role) for role in sorted(
    frozenset().union(*(profile.roles for profile in PROFILES.values())) - {item.role for item in STANDARD_SET}))]


def sent(name: str, objects: list[Thing], **frames: int) -> list[str]:
    return list(select(PROFILES[name], objects, {f"{role}.0": count for role, count in frames.items()}).sent)


def test_settings_and_profiles_know_the_same_names() -> None:
    assert set(get_args(ProfileName)) == set(PROFILES)
    assert set(get_args(TransferSyntax)) == {str(encoding) for encoding in Encoding}


def test_every_object_that_is_made_goes_to_somebody() -> None:
    assert {str(role) for role in Role} <= roles_wanted(list(PROFILES.values()))


@pytest.mark.parametrize("name", sorted(set(PROFILES) - {"reporting-text"}))
def test_the_summary_goes_to_every_viewer(name: str) -> None:
    """Law 7: it alone tells the whole story in any viewer."""
    assert "summary" in PROFILES[name].roles


def test_the_standard_set_goes_whole_to_a_standard_pacs_and_in_its_order() -> None:
    assert sent("standard", STANDARD_SET) == [item.sop_instance_uid for item in STANDARD_SET]


def test_an_older_pacs_gets_images_alone() -> None:
    assert {uid.split(".")[0] for uid in sent("sc-only", EVERY)} == {"summary", "key-slice"}


def test_a_reporting_system_gets_the_flat_report_alone() -> None:
    assert sent("reporting-text", EVERY) == ["text-report.0"]


def test_one_multi_frame_object_stands_for_the_captures() -> None:
    roles = {uid.split(".")[0] for uid in sent("multiframe-sc", EVERY)}
    assert "multi-frame" in roles
    assert "key-slice" not in roles


def test_weasis_is_not_sent_a_segmentation_that_it_does_not_show_and_it_is_said_why() -> None:
    assert "segmentation.0" in sent("weasis", STANDARD_SET, segmentation=400)
    over = select(PROFILES["weasis"], STANDARD_SET, {"segmentation.0": 401})
    assert "segmentation.0" not in over.sent
    assert "401 frames" in over.left_out["segmentation.0"]
    assert "at most 400" in over.left_out["segmentation.0"]
    assert "segmentation.0" in sent("standard", STANDARD_SET, segmentation=401)


@pytest.mark.parametrize(("most", "kept"), [
    (0, []), (1, [5]), (2, [0, 10]), (3, [0, 5, 10]), (11, list(range(11))), (99, list(range(11))),
])
def test_fewer_captures_still_show_the_finding_from_end_to_end(most: int, kept: list[int]) -> None:
    chosen = select(replace(PROFILES["standard"], most_captures=most), STANDARD_SET, {})
    assert [uid for uid in chosen.sent if uid.startswith("key-slice")] == [f"key-slice.{index}" for index in kept]
    assert "summary.0" in chosen.sent
    assert len(chosen.left_out) == 11 - len(kept)


def test_what_stays_has_a_reason() -> None:
    for profile in PROFILES.values():
        chosen = select(profile, EVERY, {})
        assert set(chosen.sent) | set(chosen.left_out) == {item.sop_instance_uid for item in EVERY}
        assert all(profile.name in why for why in chosen.left_out.values())
