"""May this leave, and how: policy, DICOM and HL7."""
