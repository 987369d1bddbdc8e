"""DICOM that says it: Secondary Capture, segmentation and structured report."""

RENDERER_VERSION = "1"
"""Part of the analysis id: raised when an object of the same analysis would come out with other bytes."""
