"""Which objects are made of an answer, and in which flavour. A viewer decides what it can open; the model's clearance
decides what may be shown at all, and no option widens it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Captures(StrEnum):
    """Which slices are shown in their own geometry, beside the summary image, which is always made."""

    NONE = "none"
    KEY = "key"
    """The key slices alone."""
    FINDINGS = "findings"
    """Every slice with a finding, and its neighbours."""
    ALL = "all"
    """Every slice that was analysed: a viewer scrolls source and result together from end to end."""


class SegmentationKind(StrEnum):
    NONE = "none"
    BINARY = "binary"
    """One bit a pixel: what every viewer that knows segmentations opens."""
    LABELMAP = "labelmap"
    """One frame a slice, whose values are the segments' numbers. Of segments that overlap a binary one is made."""
    FRACTIONAL = "fractional"
    """A byte a pixel: how much of it the segment takes."""


class CaptureSyntax(StrEnum):
    """Transfer syntaxes of the captures, all without loss, by their UIDs (PS3.5 annex A)."""

    UNCOMPRESSED = "1.2.840.10008.1.2.1"
    RLE = "1.2.840.10008.1.2.5"
    JPEG_LS = "1.2.840.10008.1.2.4.80"
    JPEG_2000 = "1.2.840.10008.1.2.4.90"


@dataclass(frozen=True)
class ResultOptions:
    """``multiframe`` and ``full_frame`` add an object beside those that are there anyway: a Multi-frame True Color
    Secondary Capture of the same slices, and a binary segmentation that has a frame for every analysed slice.
    ``text_report`` adds the answer as flat named texts."""

    captures: Captures = Captures.FINDINGS
    multiframe: bool = False
    segmentation: SegmentationKind = SegmentationKind.BINARY
    full_frame: bool = False
    key_objects: bool = True
    presentation_state: bool = True
    text_report: bool = False
    capture_syntax: CaptureSyntax = CaptureSyntax.UNCOMPRESSED
