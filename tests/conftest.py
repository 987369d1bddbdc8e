"""Shared by every kind of test."""

from __future__ import annotations

from hypothesis import settings

# A property is no clock: on a busy machine an example may take any time.
settings.register_profile("vigil", deadline=None)
settings.load_profile("vigil")
