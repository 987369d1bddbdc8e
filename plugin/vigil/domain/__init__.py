"""The words of the house: codes, answers, findings, ids, the manifest. Plain types, no I/O."""
