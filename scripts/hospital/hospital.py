"""A whole hospital in small: Orthanc with the bundle, a PACS that is sent the results, a RIS that is sent the alerts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from hospital.network import free_port
from hospital.orthanc import Orthanc
from hospital.pacs import Pacs
from hospital.ris import Ris

MODEL = "hyperdense-volume-ct-head"
BRAIN_MODEL = "brain-volume-t1-mr"
LIVE = {
    "Stage": "live",
    "AlertOverride": {"By": "Test hospital", "Reason": "Demonstration on test patients", "Date": "2026-11-23"},
}
"""The model is for research, which alerts nobody unless somebody answers for it by name."""


class Hospital:
    """Handles to all three. ``pacs`` is dcmtk's storescp, or, with ``pacs_to_look_into``, a second Orthanc.

    ``vigil`` and ``configuration`` are laid over the main Orthanc's "Vigil" section and whole configuration; ``approve`` as
    there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pacs_to_look_into: bool = False,
        vigil: Mapping[str, object] | None = None,
        configuration: Mapping[str, object] | None = None,
        approve: bool = True,
    ) -> None:
        self.folder = folder
        self.ris = Ris(folder / "ris", port=free_port())
        self.pacs: Pacs | Orthanc
        if pacs_to_look_into:
            self.pacs = Orthanc(folder / "pacs", name="PACS", script=None)
            self.pacs_port = self.pacs.dicom_port
        else:
            self.pacs = Pacs(folder / "pacs", port=free_port(), unique_names=True)
            self.pacs_port = self.pacs.port
        section = {
            "Models": {MODEL: LIVE},
            "Pacs": {"pacs": {"Host": "127.0.0.1", "Port": self.pacs_port, "Aet": self.pacs.aet}},
            "Ris": {"ris": {"Host": "127.0.0.1", "Port": self.ris.port, "Profile": {"ProcessingId": "T"}}},
        }
        self.orthanc = Orthanc(folder / "orthanc", vigil=section | dict(vigil or {}), configuration=configuration,
                               approve=approve)

    def start(self) -> Self:
        """Starts all three and waits until the bundle is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ris.start()
        self.pacs.start()
        self.orthanc.start()
        self.orthanc.wait_ready()
        return self

    def stop(self) -> None:
        """Stops what runs, in order: the Orthancs by SIGTERM, both at once.

        Raises:
            OrthancDidNotStop: when one had to be killed.
        """
        orthancs = [node for node in (self.orthanc, self.pacs) if isinstance(node, Orthanc) and node.running]
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(Orthanc.terminate, orthancs))
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends everything at once."""
        self.orthanc.kill()
        if isinstance(self.pacs, Orthanc):
            self.pacs.kill()
        else:
            self.pacs.stop()
        self.ris.stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
