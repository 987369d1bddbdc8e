"""Networks in a process of their own: the same answers and the same errors as in Orthanc's."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from apart_cases import MEANS, PYTHON, apart, children, graphs_of, leave, misbehaving, opened, stubborn, wait_for
from inference_cases import (
    ball,
    content,
    endless,
    fails_above,
    half_size,
    installed,
    network,
    not_a_number,
    runtime,
    thresholds,
)
from onnx import helper

from vigil.domain.errors import Stopping, VigilError
from vigil.inference.apart.sessions import ApartSession, MadeApart
from vigil.inference.errors import OutOfMemory, TimeLimitReached
from vigil.inference.golden_file import read_golden
from vigil.inference.leave import Leave
from vigil.inference.providers import Accelerator
from vigil.inference.registry import InstalledModel, read_package
from vigil.inference.sessions import Graph, Means, made_here
from vigil.pipeline.roster import BUNDLED_MODELS

GO = threading.Event()


def made_apart(model: InstalledModel, means: Means = MEANS) -> list[ApartSession]:
    made = MadeApart(PYTHON)(graphs_of(model), means, leave())
    assert all(isinstance(session, ApartSession) for session in made)
    return made  # type: ignore[return-value]


def test_the_shipped_models_give_the_same_bytes_in_both() -> None:
    """The first network of each: of the brain's two it is the one that takes a second."""
    for folder in sorted(BUNDLED_MODELS.glob("*/")):
        model = read_package(folder)
        assert model.manifest is not None
        graph = graphs_of(model)[0]
        voxels = read_golden(model, model.manifest.golden[0].file).reference.voxels
        (here,), (there,) = made_here([graph], MEANS, leave()), MadeApart(PYTHON)([graph], MEANS, leave())
        shape = here.warm_shape if 128 in here.warm_shape else (1, 1, *(min(side, 96) for side in voxels.shape))
        tensor = np.resize(voxels, shape).astype(np.float32)
        expected, given = here.run(tensor, leave()), there.run(tensor, leave())
        assert list(given) == list(expected)
        for name, values in expected.items():
            assert (given[name].dtype, given[name].shape) == (values.dtype, values.shape)
            assert given[name].tobytes() == values.tobytes()
        assert (there.provider, there.warm_shape, there.describe()) == (here.provider, here.warm_shape, here.describe())
        assert {name: values.tobytes() for name, values in there.warm_outputs.items()} == {
            name: values.tobytes() for name, values in here.warm_outputs.items()}


def test_a_shipped_model_answers_its_golden_case_the_same_in_both(tmp_path: Path) -> None:
    model = read_package(BUNDLED_MODELS / "hyperdense-volume-ct-head")
    assert model.manifest is not None
    volume = read_golden(model, model.manifest.golden[0].file).reference
    here, there = runtime(tmp_path / "here"), apart(tmp_path / "there")
    for run in (here, there):
        run.load(model)
    one, other = (run.run(model, volume, operating_point="default", stop=GO) for run in (here, there))
    assert one.answer == other.answer
    assert {name: mask.tobytes() for name, mask in one.masks.items()} == {
        name: mask.tobytes() for name, mask in other.masks.items()}
    assert there.describe(model.model_id) == here.describe(model.model_id)


def error_of(folder: Path, model: InstalledModel, **settings: object) -> list[tuple[type[Exception], str, str]]:
    """In both, of the load or of the run."""
    said = []
    for place, make in (("here", runtime), ("there", apart)):
        run = make(folder / place, **settings)
        with pytest.raises(VigilError) as caught:
            run.load(model)
            run.run(model, ball(size=60), operating_point="default", stop=GO)
        said.append((type(caught.value), caught.value.category.value, caught.value.message))
    return said


@pytest.mark.parametrize(("model", "changes", "category"), [
    (fails_above(), {}, "inference-failed"),
    (not_a_number(), {}, "inference-failed"),
    (half_size(), {}, "inference-failed"),
    (network([helper.make_node("Identity", ["hu"], [name]) for name in ("inside", "dense")], outputs=("inside", "dense")), {},
     "model-invalid"),
    (thresholds(), {"network": {"file": "model.onnx", "input": "image", "outputs": ["inside", "dense", "raised"]}},
     "model-invalid"),
    (network([helper.make_node("Nothing", ["hu"], ["inside"])]), {}, "model-not-loaded"),
], ids=["fails", "no-number", "other-shape", "no-output", "no-input", "not-loaded"])
def test_every_error_comes_back_by_its_category_and_in_its_words(
    tmp_path: Path, model: object, changes: dict[str, object], category: str
) -> None:
    package = installed(tmp_path / "models", model, **changes)  # type: ignore[arg-type]
    here, there = error_of(tmp_path, package)
    assert here == there
    assert here[1] == category


def test_cuda_that_is_not_there_is_said_as_in_orthanc(tmp_path: Path) -> None:
    here, there = error_of(tmp_path, installed(tmp_path / "models"), provider="cuda")
    assert here == there
    assert here[1] == "model-not-loaded"


def test_more_memory_than_the_budget_is_an_error_and_no_death() -> None:
    """16 floats for each voxel, where the budget has room for the input."""
    nodes = [helper.make_node("Concat", ["hu"] * 16, [f"wide_{index}"], axis=1) for index in range(4)]
    nodes += [helper.make_node("Concat", [f"wide_{index}" for index in range(4)], ["whole"], axis=1)]
    nodes += [helper.make_node("ReduceMax", ["whole"], [name], keepdims=1) for name in ("inside", "dense", "raised")]
    wide = network(nodes)
    means = Means(Accelerator(), 1, False, 128 << 20)
    form = graphs_of_bytes(content(wide))
    session, = MadeApart(PYTHON)([form], means, leave())
    with pytest.raises(OutOfMemory, match="not enough memory to run the network"):
        session.run(np.zeros((1, 1, 128, 128, 128), np.float32), leave())
    assert session.alive
    assert session.run(np.zeros((1, 1, 16, 16, 16), np.float32), leave())


def graphs_of_bytes(model: bytes) -> Graph:
    from vigil.domain.manifest import Network
    from vigil.inference.tensor_form import TensorForm

    return Graph(model, Network(file="model.onnx", input="hu", outputs=("inside", "dense", "raised")),
                 TensorForm("NCDHW", "float32", (1, 1, None, None, None)))


def test_an_output_that_is_larger_than_the_budget_is_an_error_and_no_death() -> None:
    nodes = [helper.make_node("Expand", ["hu", "shape"], [name]) for name in ("inside", "dense", "raised")]
    from onnx import numpy_helper

    large = network(nodes, [numpy_helper.from_array(np.array([64, 1, 1, 1, 1], np.int64), "shape")])
    session, = MadeApart(PYTHON)([graphs_of_bytes(content(large))], Means(Accelerator(), 1, False, 64 << 20), leave())
    with pytest.raises(OutOfMemory):
        session.run(np.zeros((1, 1, 64, 64, 64), np.float32), leave())
    assert session.run(np.zeros((1, 1, 16, 16, 16), np.float32), leave())


def test_a_run_is_left_between_two_nodes_and_the_process_lives(tmp_path: Path) -> None:
    session, = made_apart(installed(tmp_path / "models", endless()))
    pid, volume = children(), np.zeros((1, 1, 64, 64, 64), np.float32)
    with pytest.raises(TimeLimitReached, match=r"took longer than the 0\.3 s"):
        session.run(volume, leave(0.3))
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopping):
        session.run(volume, Leave(stop))
    assert session.alive
    assert children() == pid
    assert session.run(volume[..., :8, :8, :8], leave())


def test_a_graph_that_hears_of_no_end_is_ended_with_its_process(tmp_path: Path) -> None:
    session, = MadeApart(PYTHON, grace_s=0.2)(graphs_of(installed(tmp_path / "models", stubborn())), MEANS, leave())
    begun = time.monotonic()
    with pytest.raises(TimeLimitReached, match=r"took longer than the 0\.3 s of its time_limit_s"):
        session.run(np.zeros((1, 1, 64, 64, 64), np.float32), leave(0.3))
    assert time.monotonic() - begun < 30  # by itself it would take a minute
    assert not session.alive
    assert children() == []


def test_the_process_is_there_as_long_as_one_of_its_sessions(tmp_path: Path) -> None:
    session, = made_apart(installed(tmp_path / "models"))
    assert len(children()) == 1
    run = session.run
    del session
    assert run(np.zeros((1, 1, 8, 8, 8), np.float32), leave())
    del run
    wait_for(lambda: children() == [])


def test_nothing_is_left_open_or_running_after_fifty_loads(tmp_path: Path) -> None:
    """Of processes that answer as ours do, and start in no time."""
    answers = "order = ready()\nwhile True:\n answer(made(order) if order['kind'] == 'make' else {'kind': 'gave', 'number': " \
              "order['number'], 'tensors': made(order)['tensors']}, memory(64))\n order = json.loads(end.recv(65536))"
    quick, real, graphs = misbehaving(tmp_path / "bin", answers), PYTHON, graphs_of(installed(tmp_path / "models"))

    def once(program: Path) -> None:
        session, = MadeApart(program)(graphs, MEANS, leave())
        assert session.run(np.zeros((1, 1, 8, 8, 8), np.float32), leave())

    once(real)
    wait_for(lambda: children() == [])
    threads, before = threading.active_count(), opened()
    for _ in range(50):
        once(quick)
    once(real)
    wait_for(lambda: children() == [] and threading.active_count() == threads)
    assert opened() == before
