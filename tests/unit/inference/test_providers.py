"""What runs a network: options that are set on purpose, the truth of what was had, and what is done without memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest
from inference_cases import ball, installed, runtime
from manifest_cases import install, looking_aside, segmentation
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession, RunOptions

from vigil.domain.answer import AnswerKind
from vigil.inference import providers
from vigil.inference import sessions as sessions_module
from vigil.inference.binding import run_bound
from vigil.inference.errors import ModelNotLoaded, OutOfMemory
from vigil.inference.providers import CPU, CUDA, TENSORRT, Accelerator, told
from vigil.inference.session import NetworkSession, _lacks_memory

EVERY = (TENSORRT, CUDA, CPU)


def test_the_options_of_a_gpu_are_those_that_were_decided(tmp_path: Path) -> None:
    (name, options), (cpu, none) = Accelerator("cuda", 1, 2048).providers(EVERY)
    assert (name, cpu, none) == (CUDA, CPU, {})
    assert options == {"device_id": "1", "arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC",
                       "use_tf32": "0", "gpu_mem_limit": str(2048 << 20)}
    assert "gpu_mem_limit" not in Accelerator("cuda").providers(EVERY)[0][1]
    assert Accelerator("cuda", tf32=True).providers(EVERY)[0][1]["use_tf32"] == "1"
    engines = Accelerator("tensorrt", engines=tmp_path).providers(EVERY)
    assert [item for item, _ in engines] == [TENSORRT, CUDA, CPU]
    assert engines[0][1]["trt_engine_cache_path"] == str(tmp_path)
    assert engines[0][1]["trt_fp16_enable"] == "0"


def test_what_the_installed_runtime_lacks_is_not_asked_for() -> None:
    assert Accelerator("tensorrt").providers([CPU]) == [(CPU, {})]
    assert Accelerator("cpu").providers(EVERY) == [(CPU, {})]


def test_the_libraries_that_pip_installed_are_loaded_before_a_session_on_a_gpu_and_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr(providers, "preload_dlls", lambda: loaded.append(True))
    monkeypatch.setattr(providers, "get_available_providers", lambda: [CUDA, CPU])
    providers.load_gpu_libraries.cache_clear()
    model = installed(tmp_path / "models")
    runtime(tmp_path).load(model)
    assert not loaded
    with suppress(ModelNotLoaded):
        runtime(tmp_path, provider="cuda").load(model)
    assert loaded == [True]


@pytest.mark.parametrize(("got", "name"), [
    ([TENSORRT, CUDA, CPU], "tensorrt"), ([CUDA, CPU], "cuda"), ([CPU], "cpu"), ([], "cpu")])
def test_what_is_told_is_what_the_session_has(got: list[str], name: str) -> None:
    assert told(got) == name


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA")
def test_without_a_gpu_it_is_refused_in_words_or_runs_on_the_cpu_where_that_is_allowed(provider: str, tmp_path: Path) -> None:
    model = installed(tmp_path / "models")
    strict = runtime(tmp_path, provider=provider)
    with pytest.raises(ModelNotLoaded, match=f"the installed ONNX Runtime has no {provider.upper()}.*AllowCpuFallback"):
        strict.load(model)
    lenient = runtime(tmp_path, provider=provider, allow_cpu_fallback=True)
    lenient.load(model)
    assert lenient.describe(model.model_id).endswith("CPU")


def test_a_bound_run_gives_what_a_run_gives() -> None:
    session = InferenceSession(looking_aside(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).random((2, 1, 8, 9, 10), np.float32)
    plain = session.run(["logits"], {"image": image})
    bound = run_bound(session, {"image": image[:, :, ::-1][:, :, ::-1]}, ["logits"], RunOptions(), device="cpu")
    assert np.array_equal(plain[0], bound[0])


on_a_gpu = pytest.mark.skipif(CUDA not in onnxruntime.get_available_providers(), reason="no CUDA session can be made here")


@pytest.mark.gpu
@on_a_gpu
def test_on_a_gpu_the_answer_is_that_of_the_cpu(tmp_path: Path) -> None:
    model = installed(tmp_path / "models")
    answers = []
    for provider in ("cpu", "cuda"):
        made = runtime(tmp_path / provider, provider=provider)
        made.load(model)
        assert made.describe(model.model_id).endswith(provider.upper())
        answers.append(made.run(model, ball(20.0), operating_point="default", stop=threading.Event()).answer)
    assert answers[0] == answers[1]


@pytest.mark.gpu
@on_a_gpu
def test_on_a_gpu_of_little_memory_the_batch_is_halved_then_the_cpu_takes_over(tmp_path: Path) -> None:
    parts = segmentation()
    parts["strategy"] = {**parts["strategy"], "window": [64, 64, 64], "batch": 32}
    model = install(tmp_path / "models", {"model.onnx": looking_aside()}, **parts)
    told = {}
    for name, limit_mib in (("plenty", None), ("little", 64), ("none", 1)):
        made = runtime(tmp_path / name, provider="cuda", allow_cpu_fallback=True, memory_budget_mib=4096,
                       accelerator=Accelerator("cuda", memory_limit_mib=limit_mib))
        made.load(model)
        told[name] = made.run(model, ball(20.0), operating_point="default", stop=threading.Event())
    assert [(told[name].provider, told[name].batch) for name in ("plenty", "none")] == [("cuda", None), ("cpu", None)]
    assert told["little"].provider == "cuda"
    assert told["little"].batch in (1, 2, 4, 8, 16)
    for name in ("little", "none"):
        assert told[name].answer.measured == told["plenty"].answer.measured
        assert all(np.array_equal(told[name].masks[part], mask) for part, mask in told["plenty"].masks.items())


@pytest.mark.parametrize(("said", "lacks"), [
    ("Failed to allocate memory for requested buffer of size 17179869184", True), ("std::bad_alloc", True),
    ("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaStreamSynchronize(stream)", True),
    ("Type Error: Type (tensor(float)) of output arg (boxes) does not match", False)])
def test_a_lack_of_memory_is_known_by_what_its_errors_say(said: str, lacks: bool) -> None:
    assert _lacks_memory(RuntimeError(said)) == lacks


class SmallGpu(NetworkSession):
    """A GPU as far as can be had without one: sessions that are asked for it run on the CPU and lack memory for more than
    ``largest`` inputs at a time."""

    largest = 0
    seen: ClassVar[list[int]] = []

    def __init__(self, *arguments: Any, accelerator: Accelerator, **named: Any) -> None:
        self.pretends = accelerator.on_a_gpu
        super().__init__(*arguments, accelerator=Accelerator(), **named)
        if self.pretends:
            self.provider = "cuda"

    def run(self, given: Any, leave: Any) -> Mapping[str, Any]:
        if self.pretends:
            count = len(next(iter(given.values())) if isinstance(given, Mapping) else given)
            self.seen.append(count)
            if count > self.largest:
                raise OutOfMemory("not enough memory to run the network on cuda")
            self.provider = "cpu"  # as its session is
            try:
                return super().run(given, leave)
            finally:
                self.provider = "cuda"
        return super().run(given, leave)


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> type[SmallGpu]:
    monkeypatch.setattr(sessions_module, "NetworkSession", SmallGpu)
    monkeypatch.setattr(SmallGpu, "seen", [])
    return SmallGpu


def test_where_memory_lacks_the_batch_is_halved_and_the_window_stays(small_gpu: type[SmallGpu], tmp_path: Path) -> None:
    parts = segmentation()
    parts["strategy"] = {**parts["strategy"], "batch": 8}
    model = install(tmp_path / "models", {"model.onnx": looking_aside()}, **parts)
    volume = ball(20.0)
    plain = runtime(tmp_path / "plain")
    plain.load(model)
    expected = plain.run(model, volume, operating_point="default", stop=threading.Event())
    small_gpu.largest = 8
    made = runtime(tmp_path / "small", provider="cuda")
    made.load(model)
    small_gpu.largest, small_gpu.seen = 2, []
    found = made.run(model, volume, operating_point="default", stop=threading.Event())
    assert found.answer == expected.answer
    assert all(np.array_equal(found.masks[name], mask) for name, mask in expected.masks.items())
    assert small_gpu.seen[:3] == [8, 4, 2]
    assert set(small_gpu.seen[2:]) <= {1, 2}, "what did not fit once is not tried again"
    assert (expected.batch, found.batch) == (None, 2)


def test_memory_that_lacks_while_the_session_is_warmed_halves_the_batch_for_good(
    small_gpu: type[SmallGpu], tmp_path: Path,
) -> None:
    parts = segmentation()
    parts["strategy"] = {**parts["strategy"], "batch": 8}
    model = install(tmp_path / "models", {"model.onnx": looking_aside()}, **parts)
    small_gpu.largest = 4
    made = runtime(tmp_path, provider="cuda")
    made.load(model)
    assert small_gpu.seen == [8, 4]
    found = made.run(model, ball(20.0), operating_point="default", stop=threading.Event())
    assert set(small_gpu.seen[2:]) <= {4, 3, 2, 1}
    assert found.batch == 4


def test_without_memory_for_one_the_cpu_takes_over_where_it_may_and_it_is_said(
    small_gpu: type[SmallGpu], tmp_path: Path,
) -> None:
    model = installed(tmp_path / "models")
    strict = runtime(tmp_path / "strict", provider="cuda")
    lenient = runtime(tmp_path / "lenient", provider="cuda", allow_cpu_fallback=True)
    small_gpu.largest = 1
    strict.load(model)
    lenient.load(model)
    small_gpu.largest = 0
    with pytest.raises(OutOfMemory, match="on cuda"):
        strict.run(model, ball(20.0), operating_point="default", stop=threading.Event())
    inference = lenient.run(model, ball(20.0), operating_point="default", stop=threading.Event())
    assert (inference.answer.kind, inference.provider) == (AnswerKind.POSITIVE, "cpu")
    assert inference.answer.notes[-1].startswith("Run on the CPU (ONNX Runtime")
    assert inference.runtime.endswith("CPU"), "what the report names as its device"
    assert lenient.describe(model.model_id).endswith("CUDA"), "the next one has the GPU again"


def test_without_memory_to_be_warmed_it_is_not_loaded_or_runs_on_the_cpu_where_it_may(
    small_gpu: type[SmallGpu], tmp_path: Path,
) -> None:
    small_gpu.largest = 0
    model = installed(tmp_path / "models")
    with pytest.raises(OutOfMemory, match="on cuda"):
        runtime(tmp_path / "strict", provider="cuda").load(model)
    lenient = runtime(tmp_path / "lenient", provider="cuda", allow_cpu_fallback=True)
    lenient.load(model)
    assert lenient.describe(model.model_id).endswith("CPU")


def narrow() -> bytes:
    """The segmentation of :func:`looking_aside` in 16-bit floats, as an exporter writes them: cast in, cast out."""
    wide = onnx_of(looking_aside())
    for constant in wide.graph.initializer:
        constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant).astype(np.float16), constant.name))
    nodes = [helper.make_node("Cast", ["out"], ["logits"], to=TensorProto.FLOAT) if node.output[0] == "logits" else node
             for node in wide.graph.node]
    del wide.graph.node[:]
    wide.graph.node.extend(nodes)
    wide.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    return bytes(wide.SerializeToString())


def quantised() -> bytes:
    """The same with weights and input in 8 bits (QuantizeLinear, ConvInteger's form: DequantizeLinear around a Conv)."""
    wide = onnx_of(looking_aside())
    weights = next(item for item in wide.graph.initializer if item.name == "weights")
    values = numpy_helper.to_array(weights)
    scale = np.float32(np.abs(values).max() / 127)
    wide.graph.initializer.remove(weights)
    constants = {"w8": np.rint(values / scale).astype(np.int8), "w_scale": scale, "zero": np.int8(0),
                 "x_scale": np.float32(1 / 255), "x_zero": np.uint8(0)}
    wide.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    nodes = [
        helper.make_node("DequantizeLinear", ["w8", "w_scale", "zero"], ["weights"]),
        helper.make_node("QuantizeLinear", ["image", "x_scale", "x_zero"], ["x8"]),
        helper.make_node("DequantizeLinear", ["x8", "x_scale", "x_zero"], ["nchw"]),
    ]
    rest = [node for node in wide.graph.node if node.output[0] != "nchw"]
    del wide.graph.node[:]
    wide.graph.node.extend([*nodes, *rest])
    return bytes(wide.SerializeToString())


def onnx_of(network: bytes) -> Any:
    import onnx

    return onnx.load_model_from_string(network)


@pytest.mark.parametrize("provider", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, on_a_gpu])])
@pytest.mark.parametrize(("network", "dtype"), [(narrow, "float16"), (quantised, "float32")], ids=["fp16", "int8"])
def test_narrow_numbers_give_the_answer_of_wide_ones(network: Any, dtype: str, provider: str, tmp_path: Path) -> None:
    """Within 2 % of the volume, and hardly a voxel elsewhere."""
    found = {}
    for name, made, kind in (("wide", looking_aside(), "float32"), ("narrow", network(), dtype)):
        model = install(tmp_path / name, {"model.onnx": made}, **segmentation(dtype=kind))
        assert model.problem is None
        running = runtime(tmp_path / f"{name}-state", provider=provider)
        running.load(model)
        found[name] = running.run(model, ball(20.0), operating_point="default", stop=threading.Event())
    wide, small = found["wide"], found["narrow"]
    assert wide.answer.measured is not None
    assert small.answer.measured is not None
    assert small.answer.measured.value == pytest.approx(wide.answer.measured.value, rel=0.02)
    assert wide.masks["bright"].any()
    assert np.mean(wide.masks["bright"] != small.masks["bright"]) < 0.005
