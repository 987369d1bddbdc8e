"""DICOM that says it: Secondary Capture and structured report."""
