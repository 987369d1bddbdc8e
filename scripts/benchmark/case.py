"""A case of the benchmark: one question, measured by one function in a module of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmark.findings import Findings


class NotHere(Exception):
    """The case needs what this machine does not have; says what."""


@dataclass(frozen=True)
class Effort:
    """How hard to look: ``repeats`` of each thing; ``folder``: of the case's own, empty, and removed afterwards."""

    repeats: int
    folder: Path


@dataclass(frozen=True)
class Case:
    """``measure``: "module:function" of :mod:`benchmark.cases`; a function that takes an :class:`Effort` and returns
    :class:`~benchmark.findings.Findings`. ``repeats``: of a run that is not quick; ``limit_s``: it is ended after so long.
    ``further``: only where it is named, or all are asked for, so that a run ends within ten minutes. ``elsewhere``: only where
    it is named, for it needs what scripts/setup does not install."""

    name: str
    title: str
    measure: str
    repeats: int = 5
    limit_s: float = 400.0
    further: bool = False
    elsewhere: bool = False

    def run(self, effort: Effort) -> Findings:
        module, function = self.measure.split(":")
        measure: Callable[[Case, Effort], Findings] = getattr(import_module(f"benchmark.cases.{module}"), function)
        return measure(self, effort)


CASES = (
    Case("ct", "300 × 512² CT, uncompressed, from memory", "memory:uncompressed"),
    Case("ct-jpeg-ls", "300 × 512² CT, JPEG-LS, from memory", "memory:jpeg_ls"),
    Case("demo-ct", "The CT head of the demo, from memory", "memory:demo_ct"),
    Case("demo-mr", "The T1 MR head of the demo, from memory", "memory:demo_mr"),
    Case("readers", "Readers of 300 × 512², uncompressed", "readers:uncompressed"),
    Case("decoders", "60 × 512², compressed, beside other decoders", "decoders:compressed", further=True),
    Case("headers", "Headers of a study of 2,000 images", "headers:many", repeats=3, further=True),
    Case("preparing", "300 × 512² to 1.5 mm, linear", "preparing:linear", further=True),
    Case("windows", "Sliding window beside MONAI's", "windows:beside_monai", elsewhere=True),
    Case("gpu", "A network of clinical size on a GPU", "gpu:clinical", elsewhere=True),
    Case("monai-deploy", "Beside MONAI Deploy's loading operators", "peers:monai_deploy"),
    Case("router", "Beside dicom-ai-router", "peers:router"),
    Case("orthanc-ct", "300 × 512² CT, uncompressed, through Orthanc", "orthanc:uncompressed"),
    Case("orthanc-ct-jpeg-ls", "300 × 512² CT, JPEG-LS, through Orthanc", "orthanc:jpeg_ls", further=True),
    Case("orthanc-demo-ct", "The CT head of the demo, through Orthanc", "orthanc:demo_ct"),
    Case("orthanc-demo-mr", "The T1 MR head of the demo, through Orthanc", "orthanc:demo_mr", further=True),
    Case("ingest", "Ingest with and without the bundle", "ingest:with_and_without"),
    Case("stall", "What a callback of Orthanc waits for us", "stall:callbacks"),
    Case("results", "Result objects of 300 × 512², warm", "results:objects", further=True),
    Case("alerts", "From a finding to the acknowledgement of a RIS", "alerts:acceptance", further=True),
)
"""A line a case, in the order in which they run and stand in the report."""
