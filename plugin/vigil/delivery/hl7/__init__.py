"""HL7 v2: the ORU^R01 message and MLLP."""
