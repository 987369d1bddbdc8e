"""Side by side with peers, on the same files: each in a process of its own, warm, round by round in turns."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.cases.readers import write
from benchmark.findings import Figure, Findings, Target
from benchmark.ours import NOT_COMPARED, Loader, Product
from benchmark.peers.router import serve_model
from benchmark.peers.worker import Peer, PeerFailed
from benchmark.profiling import profile
from benchmark.statistics import ratio
from benchmark.stopwatch import Laps, Spent
from benchmark.studies import Study
from hospital.network import free_port

MONAI_NOTE = (
    "300 files in the page cache to a volume: DICOMDataLoaderOperator, DICOMSeriesSelectorOperator and "
    "DICOMSeriesToVolumeOperator of monai-deploy-app-sdk 4.0.0, called directly, beside Vigil's reading of the same "
    "files. Importing the peer took {import_s:.1f} s, of its loading operators alone, and is not counted."
)
ROUTER_NOTE = (
    "300 files in the page cache to results: dicom-ai-router 0.3.0's process_study (load, route, de-identify, hand to the "
    "model, build SR and key image), beside Vigil's whole way of the same files but the network and the model's "
    "postprocessing. It does not decode the images (its model would), makes no segmentation and one capture; Vigil made "
    "{objects} objects. Importing it took {import_s:.1f} s, and is not counted; neither is its quiet time of 3 s, nor "
    "either's sending."
)


AHEAD = 1.0
AHEAD_IN_READING = 5.0
"""Of uncompressed images. (MONAI's own LoadImage stands on PyTorch, which the benchmark does not install.)"""


def monai_deploy(case: Case, effort: Effort) -> Findings:
    figures: list[Figure] = []
    targets: list[Target] = []
    missed = ""
    for kind in ("uncompressed", "JPEG-LS"):
        study = studies.large_ct(compressed=kind == "JPEG-LS")
        paths = write(effort.folder / kind, study.files)
        load = partial(_load, Loader(study.model_id), study.study_uid, paths)
        with Peer("monai_deploy", str(paths[0].parent), *map(str, study.shape), log=effort.folder / "monai.log") as peer:
            ours, theirs = _in_turns(effort.repeats, load, peer)
        figures += _figures("MONAI Deploy", f", {kind}", ours, theirs)
        ahead = AHEAD_IN_READING if kind == "uncompressed" else AHEAD
        targets.append(_target("MONAI Deploy", f", {kind}", ours, theirs, ahead))
        if not targets[-1].met and not missed:
            missed = profile(load)
    note = MONAI_NOTE.format(import_s=peer.import_s)
    return Findings(case.name, case.title, note, figures=tuple(figures), targets=tuple(targets), profile=missed)


def router(case: Case, effort: Effort) -> Findings:
    study = studies.large_ct()
    paths = write(effort.folder / "images", study.files)
    product = Product(study.model_id, effort.folder)
    objects = len(product.run(study, Laps()).objects)
    run = partial(_run, product, study, paths)
    with _model() as port:
        arguments = str(paths[0].parent), str(effort.folder / "router"), study.study_uid, str(port)
        with Peer("router", *arguments, log=effort.folder / "router.log") as peer:
            ours, theirs = _in_turns(effort.repeats, run, peer)
    target = _target("dicom-ai-router", "", ours, theirs)
    return Findings(
        case.name, case.title, ROUTER_NOTE.format(objects=objects, import_s=peer.import_s),
        figures=_figures("dicom-ai-router", "", ours, theirs), targets=(target,), profile="" if target.met else profile(run),
    )  # fmt: skip


def _load(loader: Loader, study_uid: str, paths: list[Path]) -> Spent:
    laps = Laps()
    with laps.stage("files"):
        files = [path.read_bytes() for path in paths]
    loader.load(study_uid, files, laps)
    return laps.total()


def _run(product: Product, study: Study, paths: list[Path]) -> Spent:
    laps = Laps()
    with laps.stage("files"):
        files = tuple(path.read_bytes() for path in paths)
    product.run(replace(study, files=files), laps)
    return laps.total(NOT_COMPARED)


def _in_turns(repeats: int, ours: Callable[[], Spent], peer: Peer) -> tuple[list[Spent], list[Spent]]:
    """The first of each is for warmth and not counted."""
    rounds = [(ours(), peer.round()) for _ in range(repeats + 1)][1:]
    return [one for one, _ in rounds], [other for _, other in rounds]


def _figures(name: str, kind: str, ours: list[Spent], theirs: list[Spent]) -> tuple[Figure, ...]:
    return (
        Figure.of(f"Vigil{kind}", "CPU s", [spent.cpu_s for spent in ours]),
        Figure.of(f"Vigil{kind}", "s", [spent.wall_s for spent in ours]),
        Figure.of(f"{name}{kind}", "CPU s", [spent.cpu_s for spent in theirs]),
        Figure.of(f"{name}{kind}", "s", [spent.wall_s for spent in theirs]),
    )


def _target(name: str, kind: str, ours: list[Spent], theirs: list[Spent], ahead: float = AHEAD) -> Target:
    less = ratio([spent.cpu_s for spent in theirs], [spent.cpu_s for spent in ours])
    return Target(f"Less CPU than {name}{kind}", ahead, False, "×", less)


@contextmanager
def _model() -> Iterator[int]:
    """A model's server in a process of its own; its port."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve_model, args=(port,), daemon=True)
    process.start()
    try:
        _wait_for(port)
        yield port
    finally:
        process.kill()
        process.join()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise PeerFailed("the model's server did not start")
