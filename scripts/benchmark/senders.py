"""A modality that costs the benchmark little: dcmtk's dcmsend, several at once, and plain uploads by REST."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hospital.orthanc import Orthanc

SENDERS = 3


class NotSent(Exception):
    """Orthanc did not take every image."""


def shares(folder: Path, files: Sequence[bytes], count: int = SENDERS) -> list[Path]:
    """The files in as many folders as there are senders, in turn."""
    folders = [folder / f"sender-{number}" for number in range(count)]
    for place in folders:
        place.mkdir(parents=True)
    for index, dicom in enumerate(files):
        (folders[index % count] / f"{index:04d}.dcm").write_bytes(dicom)
    return folders


def send(folders: Sequence[Path], orthanc: Orthanc) -> float:
    """Everything by C-STORE, a sender a folder, as it is compressed. Wall seconds until the last sender had its last answer.

    Raises: NotSent.
    """
    begun = time.perf_counter()
    senders = [
        subprocess.Popen(
            ["dcmsend", "--quiet", "--decompress-never", "--aetitle", "CT1", "--call", orthanc.aet, "127.0.0.1",
             str(orthanc.dicom_port), "--scan-directories", str(folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for folder in folders
    ]  # fmt: skip
    said = [sender.communicate()[1] for sender in senders]
    took = time.perf_counter() - begun
    for sender, words in zip(senders, said, strict=True):
        if sender.returncode != 0:
            raise NotSent(f"dcmsend ended with {sender.returncode}: {words.strip()[:300]}")
    return took


def upload(files: Sequence[bytes], orthanc: Orthanc) -> float:
    """Everything by POST to /instances, one after the other on one connection where Orthanc keeps it. Wall seconds.

    Raises: NotSent.
    """
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", orthanc.http_port, timeout=30)
    try:
        for dicom in files:
            connection.request("POST", "/instances", dicom)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise NotSent(f"Orthanc answered {response.status}: {body[:200]!r}")
    finally:
        connection.close()
    return time.perf_counter() - begun
