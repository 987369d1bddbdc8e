"""Metrics and logs, without patient data (law 9)."""
