from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import get_available_providers

from benchmark.apart import run_apart
from benchmark.case import CASES
from benchmark.cli import main, plain, write
from benchmark.findings import Findings, Report
from benchmark.networks import u_net
from benchmark.report import BEGIN, END
from hospital import seeded_networks


def test_the_list_names_every_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.splitlines()] == [case.name for case in CASES]


def test_a_case_that_does_not_exist_is_refused_with_the_names_of_those_that_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing", "--out", str(tmp_path)])
    assert "ingest" in capsys.readouterr().err


def test_every_case_has_a_name_of_its_own_and_a_function() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        module, function = case.measure.split(":")
        assert callable(getattr(import_module(f"benchmark.cases.{module}"), function))


def test_a_case_that_takes_too_long_is_ended_and_said_so(tmp_path: Path) -> None:
    found = run_apart(replace(CASES[0], limit_s=0.3), True, tmp_path)
    assert found.failed == "it took more than 0 s"
    assert not (tmp_path / "run" / CASES[0].name).exists()


def test_a_case_that_breaks_takes_no_other_with_it_and_its_last_word_is_kept(tmp_path: Path) -> None:
    found = run_apart(replace(CASES[0], name="unheard-of"), True, tmp_path)
    assert "unheard-of" in found.failed
    assert found.figures == ()


def test_what_needs_more_than_setup_installs_is_run_only_where_it_is_named() -> None:
    names = {case.name for case in plain(everything=True)}
    assert {case.name for case in CASES} - names == {"windows", "gpu"}
    assert {case.name for case in plain(everything=False)} < names


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is here")
def test_beside_a_peer_that_is_not_here_nothing_is_measured_and_it_is_said_what_is_missing(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "windows")
    found = run_apart(case, True, tmp_path)
    assert found.failed == "needs MONAI and PyTorch, some GB that scripts/setup does not install (torch is missing)"


@pytest.mark.skipif("CUDAExecutionProvider" in get_available_providers(), reason="a GPU is here")
def test_without_a_gpu_nothing_is_measured_of_it(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "gpu")
    assert run_apart(case, True, tmp_path).failed.startswith("needs a GPU and onnxruntime-gpu")


def test_the_network_of_clinical_size_gives_logits_of_its_input_s_sides() -> None:
    image = np.random.default_rng(1).normal(0, 1, (2, 1, 16, 32, 16)).astype(np.float32)
    (logits,) = seeded_networks.run(u_net((4, 8, 8)), image)
    assert logits.shape == (2, 2, 16, 32, 16)
    assert np.isfinite(logits).all()
    assert 0.1 < float(np.mean(logits.argmax(axis=1))) < 0.9


def test_a_whole_run_goes_into_the_page_and_any_other_into_its_own_folder_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    report = Report({}, (Findings("x", "A title", "A note."),))
    write(report, tmp_path, None)
    assert "A title" in (tmp_path / "report.md").read_text()
    assert "A title" in (tmp_path / "report.json").read_text()
    assert "A title" not in page.read_text()
    write(report, tmp_path, page)
    assert "A title" in page.read_text()
