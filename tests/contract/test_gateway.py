"""Both ways to reach a real Orthanc behave alike."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.network import enter_namespace
from hospital.orthanc import Orthanc, runtime_site_packages
from vigil.domain.gateway import GatewayError
from vigil.host.http_transport import HttpTransport
from vigil.host.rest_gateway import RestGateway

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from gateway_contract import ask  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    enter_namespace()


@pytest.fixture
def images() -> list[bytes]:
    hu = np.random.default_rng(3).integers(-1000, 1500, (2, 16, 24))
    return [dicom_bytes(image) for image in ct_series(hu, Acquisition("contract", spacing_mm=(5.0, 1.0, 1.0)))]


def by_http(folder: Path, images: list[bytes]) -> dict[str, Any]:
    with Orthanc(folder, name="BY-HTTP", script=None) as orthanc:
        gateway = RestGateway(HttpTransport(f"http://127.0.0.1:{orthanc.http_port}"))
        return dict(json.loads(json.dumps(ask(gateway, *images))))


def by_sdk(folder: Path, images: list[bytes]) -> dict[str, Any]:
    folder.mkdir()
    names = []
    for index, image in enumerate(images):
        names.append(str(folder / f"{index}.dcm"))
        Path(names[-1]).write_bytes(image)
    paths = [str(runtime_site_packages()), str(ROOT / "plugin"), str(HERE)]
    with Orthanc(folder, name="BY-SDK", script=HERE / "inside" / "ask_by_sdk.py",
                 configuration={"Contract": {"path": paths, "images": names}}) as orthanc:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answers = orthanc.get("/contract")
            if "no dicom" in answers or "broke" in answers:
                return dict(answers)
            time.sleep(0.1)
    raise AssertionError("no answers from inside Orthanc")


def test_the_sdk_and_http_give_the_same_answers(tmp_path: Path, images: list[bytes]) -> None:
    http, sdk = by_http(tmp_path / "http", images), by_sdk(tmp_path / "sdk", images)

    # Named as this Orthanc is; the answers beside it are equal word for word.
    assert http["system"][2] == "BY-HTTP"
    assert sdk["system"][2] == "BY-SDK"
    assert {key: value for key, value in http.items() if key != "system"} == \
        {key: value for key, value in sdk.items() if key != "system"}


def test_the_answers_are_right(tmp_path: Path, images: list[bytes]) -> None:
    answers = by_http(tmp_path / "http", images)

    assert answers["stored"] == ["stored", "already-stored", "stored"]
    assert answers["new instances"] == 2
    assert answers["a page"] == [1, False]
    assert answers["unknown study"] is None
    assert answers["unknown instance"] is None
    assert answers["no dicom"] == "storage-failed"
    assert all(answers[key] for key in ("same id again", "one study", "study of an instance", "studies with the uid",
                                        "instances by id", "pages join", "last update has a zone", "study of a series",
                                        "an instance alone is as it is listed", "a label twice, where there are labels"))
    assert answers["a label of an unknown study"] is False
    assert answers["each file has a name"] == 2
    assert answers["an unknown instance alone"] is None
    assert answers["study of an unknown series"] is None
    assert len(answers["instances"]) == 2


def test_other_bytes_under_an_id_have_another_file_name(tmp_path: Path, images: list[bytes]) -> None:
    with Orthanc(tmp_path / "overwriting", name="OVERWRITING", script=None,
                 configuration={"OverwriteInstances": True}) as orthanc:
        gateway = RestGateway(HttpTransport(f"http://127.0.0.1:{orthanc.http_port}"))
        stored = gateway.store(images[0])
        before = gateway.instance(stored.orthanc_id)
        gateway.store(images[0][:-1] + b"\x7f")
        after = gateway.instance(stored.orthanc_id)

        assert before is not None
        assert after is not None
        assert after.orthanc_id == before.orthanc_id
        assert after.file_uuid != before.file_uuid


def test_an_orthanc_that_does_not_answer_is_a_named_error() -> None:
    gateway = RestGateway(HttpTransport("http://127.0.0.1:9", timeout_s=2))

    with pytest.raises(GatewayError, match="did not answer"):
        gateway.system()


def test_an_object_that_orthancs_own_filter_drops_is_not_called_stored(tmp_path: Path, images: list[bytes]) -> None:
    script = tmp_path / "filter.lua"
    script.write_text("function ReceivedInstanceFilter(dicom, origin) return false end\n")
    with Orthanc(tmp_path / "filtering", name="FILTERING", script=None,
                 configuration={"LuaScripts": [str(script)]}) as orthanc:
        gateway = RestGateway(HttpTransport(f"http://127.0.0.1:{orthanc.http_port}"))

        with pytest.raises(GatewayError, match="filter"):
            gateway.store(images[0])
