"""DICOM that says it: Secondary Capture, segmentation, presentation state, key images and structured report."""

RENDERER_VERSION = "3"
"""Part of the analysis id: raised when an object of the same analysis would come out with other bytes."""
