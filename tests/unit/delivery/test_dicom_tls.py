"""DICOM over mutual TLS to dcmtk's storescp: what arrives, and the sentence for each way to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_cases import *  # noqa: F403

from hospital.authority import Authority
from hospital.pacs import Pacs
