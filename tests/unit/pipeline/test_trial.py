"""A trial goes to real receivers, and what arrives is held to validators that the project did not write."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from hospital.orthanc import Orthanc
from hospital.pacs import ChoosyPacs, Pacs
from vigil.delivery.errors import DestinationInvalid
from vigil.domain.answer import AnswerKind
from vigil.domain.clock import SystemClock
from vigil.pipeline.house import BUNDLED_MODELS
from vigil.pipeline.trial import Trial, make_trial, send_trial, trial_destination
from vigil.pipeline.trial_results import LOOK_FOR
from vigil.pipeline.trial_study import BALL_ML, SPACING_MM, make_trial_study
from vigil.results.viewer_profile import PROFILES, roles_wanted
from vigil.settings import Settings, load

PLUGIN = Path(__file__).parents[3] / "plugin"
TOOLS = Path(sys.executable).parent


def settings(folder: Path, **section: object) -> Settings:
    return load({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(folder), **section}})


def pacs(port: int, aet: str = "PACS", **more: object) -> dict[str, object]:
    return {"Pacs": {"pacs": {"Host": "127.0.0.1", "Port": port, "Aet": aet, **more}}}


def carried_out(folder: Path, name: str, **section: object) -> Trial:
    site = settings(folder, **section)
    target = trial_destination(name, site)
    return send_trial(make_trial(site, target, BUNDLED_MODELS, SystemClock(), uuid4), target, threading.Event())


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trial, list[Path]]:
    """A trial at a PACS that takes everything, and the files that it has."""
    folder = tmp_path_factory.mktemp("trial")
    with Pacs(folder / "pacs") as node:
        return carried_out(folder, "pacs", **pacs(node.port)), node.objects()


def test_every_kind_of_answer_arrives_in_one_study_of_a_patient_who_is_plainly_none(taken: tuple[Trial, list[Path]]) -> None:
    trial, files = taken
    arrived = [dcmread(file, stop_before_pixels=True) for file in files]
    assert not trial.refused
    assert Counter(item.outgoing.sop_instance_uid for item in trial.objects) == Counter(str(ds.SOPInstanceUID) for ds in arrived)
    assert {str(ds.StudyInstanceUID) for ds in arrived} == {trial.study_instance_uid}
    assert {str(ds.PatientName) for ds in arrived} == {"VIGIL^TEST RESULT"}
    assert {(ds.PatientID, ds.QualityControlSubject) for ds in arrived} == {(trial.patient_id, "YES")}
    assert {ds.StudyDescription for ds in arrived} == {"VIGIL TEST - NOT A PATIENT"}
    roles = {kind: {item.role for item in trial.objects if item.kind == kind} for kind in AnswerKind}
    assert all({"summary", "report"} <= made for made in roles.values())
    assert {kind for kind, made in roles.items() if {"key-slice", "segmentation"} <= made} == {
        AnswerKind.POSITIVE, AnswerKind.MEASURED}


def test_each_object_has_words_that_say_what_to_look_for(taken: tuple[Trial, list[Path]]) -> None:
    assert {item.role for item in taken[0].objects} | roles_wanted(list(PROFILES.values())) == set(LOOK_FOR)
    told = taken[0].as_dict()["objects"]
    assert isinstance(told, list)
    assert "POSITIVE in large letters" in next(item["look_for"] for item in told if item["role"] == "summary")
    assert all(item["look_for"] for item in told)


def test_no_validator_finds_an_error_in_it(taken: tuple[Trial, list[Path]]) -> None:
    trial, files = taken
    whole = subprocess.run([TOOLS / "dcentvfy", *files], capture_output=True, text=True, check=False, timeout=120)
    assert whole.returncode == 0, whole.stderr[-3000:]
    one_of_each = {(item.role, item.kind): item.outgoing.sop_instance_uid for item in trial.objects}
    wanted = set(one_of_each.values())
    for file in files:
        if str(dcmread(file, stop_before_pixels=True).SOPInstanceUID) in wanted:
            said = subprocess.run([TOOLS / "dciodvfy", "-new", file], capture_output=True, text=True, check=False, timeout=60)
            assert not [line for line in said.stderr.splitlines() if line.startswith("Error")], (file, said.stderr[-2000:])


def test_no_uid_is_used_twice() -> None:
    now = SystemClock().now()
    first, second = make_trial_study(now, uuid4), make_trial_study(now, uuid4)

    def uids(headers: tuple[Dataset, ...]) -> set[str]:
        return {str(ds[keyword].value) for ds in headers
                for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")}

    assert not uids(first.headers) & uids(second.headers)
    assert len(uids(first.headers)) == len(first.files) + 3


def test_the_ball_has_the_volume_that_the_results_tell() -> None:
    made = make_trial_study(SystemClock().now(), uuid4)
    assert made.ball.sum() * np.prod(SPACING_MM) / 1000 == pytest.approx(BALL_ML, rel=0.03)
    assert made.voxels[made.ball].mean() == pytest.approx(70, abs=1)


def test_it_goes_by_the_profile_and_in_the_compression_of_the_destination(tmp_path: Path) -> None:
    takes = {"SecondaryCaptureImageStorage": ("JPEGLSLossless",), "CTImageStorage": ("RLELossless",)}
    with ChoosyPacs(tmp_path / "pacs", takes=takes) as node:
        trial = carried_out(tmp_path, "pacs", **pacs(node.port, "CHOOSY", Profile="sc-only"))
        assert len(node.objects()) == len([item for item in trial.objects if not item.left_out])
    assert not trial.refused
    assert {item.role for item in trial.objects if not item.left_out} == {"source", "summary", "key-slice"}
    assert {item.left_out for item in trial.objects if item.role == "report"} == {
        "the profile 'sc-only' does not take objects of this kind"}


def test_it_goes_by_stow_rs(tmp_path: Path) -> None:
    with Orthanc(tmp_path / "web", name="WEB", script=None) as archive:
        trial = carried_out(tmp_path, "web", DicomWeb={"web": {"Url": f"http://127.0.0.1:{archive.http_port}/dicom-web"}})
        assert not trial.refused
        assert len(archive.instances()) == len(trial.objects)


def command(folder: Path, *arguments: str, **section: object) -> subprocess.CompletedProcess[str]:
    file = folder / "orthanc.json"
    file.write_text(json.dumps({"Vigil": {"SchemaVersion": 1, "StateDirectory": str(folder), **section}}))
    return subprocess.run([sys.executable, "-m", "vigil", "send-test-result", *arguments, "--config", str(file)],
                          capture_output=True, text=True, check=False, timeout=120, cwd=PLUGIN)


def test_the_command_says_what_to_look_for_and_ends_in_1_when_something_was_refused(tmp_path: Path) -> None:
    with ChoosyPacs(tmp_path / "pacs", takes={"SecondaryCaptureImageStorage": ("RLELossless",),
                                              "CTImageStorage": ("LittleEndianExplicit",)}) as node:
        said = command(tmp_path, "pacs", **pacs(node.port, "CHOOSY"))
    assert said.returncode == 1
    for words in ("Sent to PACS 'pacs'", "VIGIL^TEST RESULT", "SOURCE IMAGES", "NOT ANALYSED in large letters", "look for: ",
                  "images 1 to 24 (24): success", "SOP class not supported (Segmentation Storage)", "were NOT taken"):
        assert words in said.stdout, said.stdout


def test_a_destination_that_there_is_not_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(DestinationInvalid, match="known are pacs"):
        trial_destination("nobody", settings(tmp_path, **pacs(1)))
    said = command(tmp_path, "nobody")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == ("vigil: the settings name no destination of results 'nobody'; write one into Vigil.Pacs or "
                           "Vigil.DicomWeb\n")
