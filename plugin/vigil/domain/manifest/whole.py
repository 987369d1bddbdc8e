"""The manifest as a whole, version 1 of the schema: identity, what each part says, and that the parts fit each other."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.ensemble import Ensemble
from vigil.domain.manifest.feeding import insist_every_input_is_fed
from vigil.domain.manifest.finding import Decided, FindingEntry, FurtherFinding
from vigil.domain.manifest.fitting import deciding_measurement, insist_the_parts_fit
from vigil.domain.manifest.golden import GoldenCase
from vigil.domain.manifest.inputs import MOST_INPUTS, SeriesInput
from vigil.domain.manifest.laterality import insist_a_side_can_be_known
from vigil.domain.manifest.measurements import MeasurementRule, region_of
from vigil.domain.manifest.networks import Locator, Network
from vigil.domain.manifest.operating import Calibration, OperatingPoint
from vigil.domain.manifest.outputs import Output
from vigil.domain.manifest.postprocessing import HyperdenseVolume, Postprocessing
from vigil.domain.manifest.preprocessing import AnyPreprocessing, TensorPreprocessing
from vigil.domain.manifest.regulatory import Regulatory
from vigil.domain.manifest.scope import Scope
from vigil.domain.manifest.several import insist_each_can_be_told
from vigil.domain.manifest.severity import insist_severity_fits
from vigil.domain.manifest.strategy import Strategy, WholeVolume
from vigil.domain.manifest.strict import Strict

MOST_FURTHER_FINDINGS = 15

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class Manifest(Strict):
    schema_version: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,46}[a-z0-9]$")
    """Also the name of the package's folder."""
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    name: str = Field(max_length=40)
    vendor: str = Field(max_length=64)
    licence: str
    summary: str
    regulatory: Regulatory
    files: dict[str, Sha256]
    """SHA-256 of every file that the model needs, by its name in the folder."""
    scope: Scope
    inputs: tuple[SeriesInput, ...] = Field(min_length=1, max_length=MOST_INPUTS)
    """The first is the reference: masks, boxes and pictures are of its images."""
    preprocessing: AnyPreprocessing
    locator: Locator | None = None
    network: Network
    ensemble: Ensemble | None = None
    strategy: Strategy = Field(default_factory=WholeVolume)
    outputs: tuple[Output, ...] = ()
    postprocessing: Postprocessing
    measurements: tuple[MeasurementRule, ...] = ()
    calibration: Calibration | None = None
    """Of the score that decides."""
    operating_points: dict[str, OperatingPoint] = Field(default_factory=dict)
    finding: FindingEntry
    further_findings: tuple[FurtherFinding, ...] = Field(default=(), max_length=MOST_FURTHER_FINDINGS)
    """What the same run decides beside the main one."""
    time_limit_s: float = Field(default=900.0, ge=1, le=7200)
    """A run that takes longer is ended, and the study answered "failed"."""
    golden: tuple[GoldenCase, ...] = ()
    """Inputs whose answers are known: run before an approval."""
    limitations: tuple[str, ...] = Field(min_length=1)
    changes: dict[str, str]

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        for network in self.networks:
            if network.file not in self.files:
                raise ValueError(f"network.file '{network.file}' has no SHA-256 under 'files'")
        for case in self.golden:
            if case.file not in self.files:
                raise ValueError(f"golden.file '{case.file}' has no SHA-256 under 'files'")
            if self.operating_points and case.operating_point not in self.operating_points:
                raise ValueError(f"golden.operating_point '{case.operating_point}' is none of operating_points")
        if not self.finding.measured and "default" not in self.operating_points:
            raise ValueError("operating_points needs one named 'default'")
        if not self.finding.measured and self.operating_points["default"].scanners is not None:
            raise ValueError("operating_points.default is for every scanner that the site names no other point for; take out "
                             "its 'for'")
        if self.finding.measured and self.operating_points:
            raise ValueError("a finding that is 'measured' has no operating points")
        if self.further_findings:
            insist_each_can_be_told(self)
        for item in self.decided:
            insist_severity_fits(item.name, item.entry, item.operating_points)
            insist_a_side_can_be_known(item.name, item.entry, self._shown_region(item.entry), self.reference, self.scope)
        insist_every_input_is_fed(self)
        if isinstance(self.preprocessing, TensorPreprocessing):
            insist_the_parts_fit(self)
            return self
        if self.further_findings:
            raise ValueError("further_findings go with preprocessing of kind 'tensor'")
        if any(series.dimensions == 2 for series in self.inputs):
            raise ValueError("an input of dimensions 2 goes with preprocessing of kind 'tensor'")
        described = self.outputs or self.measurements or self.calibration or self.locator or self.ensemble
        if described or not isinstance(self.strategy, WholeVolume):
            raise ValueError("'locator', 'ensemble', 'strategy', 'outputs', 'measurements' and 'calibration' go with "
                             "preprocessing of kind 'tensor'")
        if not isinstance(self.postprocessing, HyperdenseVolume):
            raise ValueError("postprocessing 'regions' goes with preprocessing of kind 'tensor'")
        if self.finding.measured:
            raise ValueError("postprocessing 'hyperdense-volume' goes with a finding that decides")
        return self

    @property
    def reference(self) -> SeriesInput:
        return self.inputs[0]

    @property
    def decided(self) -> tuple[Decided, ...]:
        """Every finding, the main one first."""
        further = (Decided(f"further_findings[{index}]", item, item.calibration, item.operating_points)
                   for index, item in enumerate(self.further_findings))
        return Decided("finding", self.finding, self.calibration, self.operating_points), *further

    @property
    def acr_category(self) -> int | None:
        """The gravest that a finding of the model may have."""
        return min((item.entry.acr_category for item in self.decided if item.entry.acr_category is not None), default=None)

    def _shown_region(self, entry: FindingEntry) -> str | None:
        """The region that shows a finding."""
        if isinstance(self.postprocessing, HyperdenseVolume):
            return self.postprocessing.region
        rule = deciding_measurement(entry.decided_by, self.measurements)
        return entry.region or (None if rule is None else region_of(rule))

    @property
    def networks(self) -> tuple[Network, ...]:
        """In the order in which they run: the locator's where there is one, then those that decide."""
        return self.deciding_networks if self.locator is None else (self.locator.network, *self.deciding_networks)

    @property
    def deciding_networks(self) -> tuple[Network, ...]:
        """The network, and those of its ensemble."""
        files = () if self.ensemble is None else self.ensemble.files
        return self.network, *(self.network.model_copy(update={"file": file}) for file in files)

    @property
    def weights_sha256(self) -> str:
        """Of the network's file; of several networks, the SHA-256 of their SHA-256s (hexadecimal) in the order in which
        they run."""
        if len(self.networks) == 1:
            return self.files[self.network.file]
        return sha256("".join(self.files[network.file].lower() for network in self.networks).encode()).hexdigest()
