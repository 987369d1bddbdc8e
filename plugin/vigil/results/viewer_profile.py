"""Viewer profiles: which of the objects of an analysis go to a destination, in which encodings, within which limits.

Every analysis has one set of objects, which lies in Orthanc. A profile makes no object: it selects from that set and says how
the selected may be encoded; sending adds what the receiver accepts. Where a live destination's profile asks for a flavour that
is not part of every set, the set is made with it (see ``vigil.pipeline.flavours``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)


class Encoding(StrEnum):
    """How pixels may travel: as they are, or compressed without loss."""

    UNCOMPRESSED = "uncompressed"
    RLE = "rle"
    JPEG_LS = "jpeg-ls"
    JPEG_2000 = "jpeg-2000"

    @property
    def transfer_syntaxes(self) -> tuple[UID, ...]:
        """In order of preference. Implicit VR is the one that every node must take (PS3.5 10.1)."""
        return {
            Encoding.UNCOMPRESSED: (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
            Encoding.RLE: (RLELossless,),
            Encoding.JPEG_LS: (JPEGLSLossless,),
            Encoding.JPEG_2000: (JPEG2000Lossless,),
        }[self]


class Candidate(Protocol):
    """A result object, as the ledger and the renderer describe it."""

    @property
    def role(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def sop_instance_uid(self) -> str: ...


@dataclass(frozen=True)
class ViewerProfile:
    """``roles``: what goes there, by the role of the object; a role that no object of the analysis has is simply not there.
    ``encodings``: in order of preference. ``most_captures``: of the captures on slices; the summary always goes.
    ``most_segmentation_frames``: a segmentation of more is left out.
    """

    name: str
    about: str
    roles: frozenset[str]
    encodings: tuple[Encoding, ...] = tuple(Encoding)
    most_captures: int | None = None
    most_segmentation_frames: int | None = None


@dataclass(frozen=True)
class Selection:
    """SOP Instance UIDs that go, in the order of the set, and why the others stay."""

    sent: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


SUMMARY, CAPTURES, REPORT, SEGMENTATION = "summary", "key-slice", "report", "segmentation"
KEY_OBJECTS, PRESENTATION = "key-objects", "presentation-state"
TEXT_REPORT, MULTIFRAME, FULL_SEGMENTATION = "text-report", "multi-frame", "full-segmentation"

PROFILES: Mapping[str, ViewerProfile] = {profile.name: profile for profile in (
    ViewerProfile(
        "standard", "a PACS of today: every object of the standard set",
        frozenset({SUMMARY, CAPTURES, REPORT, SEGMENTATION, KEY_OBJECTS, PRESENTATION})),
    ViewerProfile(
        "sc-only", "an older PACS: images alone, which every viewer shows",
        frozenset({SUMMARY, CAPTURES})),
    ViewerProfile(
        "ohif", "OHIF: without the key objects and presentation states that it marks as unsupported",
        frozenset({SUMMARY, CAPTURES, REPORT, SEGMENTATION})),
    ViewerProfile(
        "weasis", "Weasis: everything, and no segmentation of more than 400 frames, which it does not show",
        frozenset({SUMMARY, CAPTURES, REPORT, SEGMENTATION, KEY_OBJECTS, PRESENTATION}), most_segmentation_frames=400),
    ViewerProfile(
        "reporting-text", "a reporting system that reads named text items: the flat report alone",
        frozenset({TEXT_REPORT}), encodings=(Encoding.UNCOMPRESSED,)),
    ViewerProfile(
        "multiframe-sc", "a DICOMweb archive: the captures as one multi-frame object instead of many",
        frozenset({SUMMARY, MULTIFRAME, REPORT, SEGMENTATION})),
    ViewerProfile(
        "full-frame-seg", "a viewer that wants a segmentation with a frame for every slice: one beside that of the report",
        frozenset({SUMMARY, CAPTURES, REPORT, SEGMENTATION, FULL_SEGMENTATION, KEY_OBJECTS, PRESENTATION})),
)}

NO_ROLE = "the profile '{profile}' does not take objects of this kind"
TOO_MANY_CAPTURES = "the destination takes at most {most} captures of slices"
TOO_MANY_FRAMES = "a segmentation of {frames} frames; the destination takes at most {most}"


def select(profile: ViewerProfile, objects: Sequence[Candidate], segmentation_frames: Mapping[str, int]) -> Selection:
    """``segmentation_frames``: number of frames by SOP Instance UID; one that is not named has no limit to meet."""
    captures = [item for item in objects if item.role == CAPTURES]
    kept = _spread(captures, profile.most_captures)
    sent: list[str] = []
    left_out: dict[str, str] = {}
    for item in objects:
        uid = item.sop_instance_uid
        frames = segmentation_frames.get(uid, 0)
        if item.role not in profile.roles:
            left_out[uid] = NO_ROLE.format(profile=profile.name)
        elif item.role == CAPTURES and uid not in kept:
            left_out[uid] = TOO_MANY_CAPTURES.format(most=profile.most_captures)
        elif profile.most_segmentation_frames is not None and frames > profile.most_segmentation_frames:
            left_out[uid] = TOO_MANY_FRAMES.format(frames=frames, most=profile.most_segmentation_frames)
        else:
            sent.append(uid)
    return Selection(tuple(sent), left_out)


def roles_wanted(profiles: Collection[ViewerProfile]) -> frozenset[str]:
    """Every role that one of the profiles takes."""
    return frozenset[str]().union(*(profile.roles for profile in profiles))


def _spread(captures: Sequence[Candidate], most: int | None) -> frozenset[str]:
    """At most ``most`` of the captures, evenly over their extent, so that a finding is seen from end to end."""
    if most is None or len(captures) <= most:
        return frozenset(item.sop_instance_uid for item in captures)
    if most == 0:
        return frozenset()
    step = (len(captures) - 1) / max(most - 1, 1)
    first = (len(captures) - 1) / 2 if most == 1 else 0.0
    return frozenset(captures[round(first + number * step)].sop_instance_uid for number in range(most))
