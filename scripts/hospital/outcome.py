"""What became of a study that was sent: the answer, where its objects are, who was told, and whether all of it arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SHORT = {
    SECONDARY_CAPTURE: "SC", SEGMENTATION: "SEG", COMPREHENSIVE_3D_SR: "SR",
    "1.2.840.10008.5.1.4.1.1.88.59": "KO", "1.2.840.10008.5.1.4.1.1.11.1": "PR",  # key objects, presentation state
}
NONE = "–"


@dataclass(frozen=True)
class Expectation:
    """What the demo expects of a study: a positive and its alert, or none of either; or a measurement, which alerts nobody.
    ``anything``: of a model that is not ours, every answer but "not analysed" and "failed"."""

    positive: bool
    measured: bool = False
    anything: bool = False


@dataclass(frozen=True)
class Outcome:
    """One study, as Orthanc, the bundle, the PACS and the RIS tell it.

    ``analysis``: what /vigil/analyses says of it (None: nothing yet). ``in_orthanc`` and ``in_pacs``: SOP class by SOP
    Instance UID of the results that each holds. ``messages``: the HL7 messages about it that the RIS received.
    """

    label: str
    expectation: Expectation
    last_image_at: datetime
    analysis: Mapping[str, Any] | None
    in_orthanc: Mapping[str, str]
    in_pacs: Mapping[str, str]
    messages: int

    @property
    def answer(self) -> str:
        return str(((self.analysis or {}).get("answer") or {}).get("kind", NONE))

    @property
    def sentence(self) -> str:
        return str(((self.analysis or {}).get("answer") or {}).get("sentence", ""))

    @property
    def statuses(self) -> dict[str, int]:
        """The PACS's answer to each object, by SOP Instance UID."""
        return {
            uid: int(status) for delivery in self._deliveries("dicom") for uid, status in delivery["statuses"].items()
        }

    @property
    def acknowledgement(self) -> str:
        codes = [
            delivery["acknowledgement"]["code"] for delivery in self._deliveries("hl7") if delivery["acknowledgement"]
        ]
        return " ".join(codes) or NONE

    def missing(self) -> list[str]:
        """What has not arrived, or is not as expected; empty when all is well."""
        if self.analysis is None:
            return ["no answer"]
        faults = []
        if self.expectation.positive and self.answer != "positive":
            faults.append(f"the answer is {self.answer}, expected positive")
        if self.expectation.measured and self.answer != "measured":
            faults.append(f"the answer is {self.answer}, expected measured")
        decided = self.expectation.positive or self.expectation.measured
        if self.expectation.anything:
            if self.answer not in ("positive", "negative", "indeterminate", "measured"):
                faults.append(self.sentence or "no answer")
        elif not decided and self.answer not in ("negative", "indeterminate"):
            faults.append(f"the answer is {self.answer}, expected negative")
        made = {item["sop_instance_uid"] for item in self.analysis["objects"]}
        for place, held in (("Orthanc", self.in_orthanc), ("the PACS", self.in_pacs)):
            kinds = {SHORT.get(held[uid]) for uid in made & held.keys()}
            wanted = ("SC", "SEG", "SR") if decided else ("SC", "SR")
            faults += [f"no {kind} in {place}" for kind in wanted if kind not in kinds]
            if lacking := len(made - held.keys()):
                faults.append(f"{lacking} objects lack in {place}")
            if unknown := len(held.keys() - made):
                faults.append(f"{unknown} objects too many in {place}")
        if any(status != 0 for status in self.statuses.values()) or made - self.statuses.keys():
            faults.append(f"the PACS did not confirm every object ({self.pacs_summary()})")
        if self.expectation.positive and (self.acknowledgement != "AA" or self.messages != 1):
            faults.append(
                f"alerts received: {self.messages}, acknowledged: {self.acknowledgement}; expected one and AA"
            )
        if not self.expectation.positive and not self.expectation.anything and (
            self.messages or any(item["attempts"] for item in self._deliveries("hl7"))
        ):
            faults.append("an alert was sent without a positive answer")
        return faults

    def progress(self) -> str:
        """Where the study is, for a line that is printed while waiting."""
        if self.analysis is None:
            return f"{self.label}: no answer yet"
        made = len(self.analysis["objects"])
        told = f", HL7 {self.acknowledgement}" if self.expectation.positive else ""
        answer = "being analysed" if self.answer == NONE else self.answer
        return f"{self.label}: {answer}, {made} objects, {len(self.in_pacs)} in the PACS{told}"

    def objects_summary(self) -> str:
        return (
            " + ".join(
                f"{count} {kind}"
                for kind, count in sorted(Counter(SHORT.get(c, c) for c in self.in_orthanc.values()).items())
            )
            or NONE
        )

    def pacs_summary(self) -> str:
        counted = Counter(self.statuses.values())
        return ", ".join(f"{count} × {_status(status)}" for status, count in sorted(counted.items())) or NONE

    def seconds(self) -> tuple[str, str, str]:
        """Seconds from the last image to: the answer stored in Orthanc, its objects in the PACS, the alert acknowledged."""
        analysis = self.analysis or {}
        return (
            self._since([item["stored_at"] for item in analysis.get("objects", [])]),
            self._since([delivery["finished_at"] for delivery in self._deliveries("dicom")]),
            self._since([(delivery["acknowledgement"] or {}).get("at") for delivery in self._deliveries("hl7")]),
        )

    def row(self) -> list[str]:
        analysis = self.analysis or {}
        answer = analysis.get("answer") or {}
        model = f"{analysis['model_id']} {analysis['model_version']}" if analysis else NONE
        return [
            self.label,
            model,
            self.answer,
            _quantity(answer.get("measured")),
            _quantity(answer.get("threshold")),
            self.objects_summary(),
            self.pacs_summary(),
            self.acknowledgement,
            *self.seconds(),
        ]

    def _deliveries(self, kind: str) -> list[Mapping[str, Any]]:
        return [item for item in (self.analysis or {}).get("deliveries", []) if item["kind"] == kind]

    def _since(self, moments: Sequence[str | None]) -> str:
        if not moments or None in moments:
            return NONE
        last = max(datetime.fromisoformat(moment) for moment in moments if moment)
        return f"{(last - self.last_image_at).total_seconds():.1f}"


HEAD = (
    "study", "model", "answer", "value", "threshold", "objects", "PACS status", "HL7 ack",
    "s to answer", "s to PACS", "s to ack",
)  # fmt: skip


def _quantity(quantity: Mapping[str, Any] | None) -> str:
    if not quantity:
        return NONE
    told = f"{quantity['value']:.1f}"
    return told.removesuffix(".0") if quantity["unit"] == "1" else f"{told} {quantity['unit']}"


def _status(status: int) -> str:
    return "success" if status == 0 else f"0x{status:04X}"
