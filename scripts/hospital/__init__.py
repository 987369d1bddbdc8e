"""A hospital in small, for the demo and the tests: a modality, Orthanc, a PACS, a RIS, and patients who are plainly tests."""
