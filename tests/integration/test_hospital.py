"""The hospital itself, before anything of Vigil runs in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from hospital import modality
from hospital.ct_series import Acquisition, ct_series
from hospital.network import in_own_network
from hospital.orthanc import Orthanc


def test_a_series_sent_by_c_store_can_be_read_back(tmp_path: Path) -> None:
    assert in_own_network()
    hu = np.random.default_rng(7).integers(-1000, 1500, (6, 32, 48))
    images = list(ct_series(hu, Acquisition("smoke", spacing_mm=(5.0, 1.0, 1.0))))

    with Orthanc(tmp_path / "bare", name="BARE", script=None) as orthanc:
        sent = modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet, associations=3)
        stored = orthanc.instances(orthanc.studies()[0])
        files = [dcmread(DicomBytesIO(orthanc.get_bytes(f"/instances/{item['ID']}/file"))) for item in stored]

    assert sent.all_stored
    assert len(orthanc_uids := {str(file.SOPInstanceUID) for file in files}) == 6
    assert orthanc_uids == set(sent.statuses)
    for file in files:
        assert np.array_equal(file.pixel_array.astype(int) - 1024, hu[file.InstanceNumber - 1])


def test_what_was_stored_survives_a_kill_and_an_orderly_stop(tmp_path: Path) -> None:
    image = next(ct_series(np.zeros((1, 16, 16)), Acquisition("kill", spacing_mm=(5.0, 1.0, 1.0))))
    with Orthanc(tmp_path / "bare", name="BARE", script=None) as orthanc:
        assert modality.send([image], "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        orthanc.kill()
        orthanc.start()
        assert len(orthanc.instances()) == 1
        stopped = orthanc.terminate()
        assert stopped.in_order
        assert len(orthanc.restart().studies()) == 1
