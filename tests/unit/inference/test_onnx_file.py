"""A network holds its weights itself: onnx's own files, with and without external data, and rubbish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inference_cases import OUTPUTS, constant, content, network, thresholds
from onnx import TensorProto, helper, numpy_helper

from vigil.inference.errors import ModelInvalid
from vigil.inference.onnx_file import refuse_external_data

SHIPPED = Path(__file__).resolve().parents[3] / "models"


def external(name: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/secret")
    return tensor


def weights_in_attribute() -> onnx.ModelProto:
    nodes = [helper.make_node("Constant", [], ["held"], value=external("inner"))]
    return network([*nodes, *(helper.make_node("Add", ["hu", "held"], [name]) for name in OUTPUTS)])


def weights_in_subgraph() -> onnx.ModelProto:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["deep"], ["out"])], "branch", [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)], [external("deep")],
    )  # fmt: skip
    nodes = [helper.make_node("If", ["yes"], [name], then_branch=branch, else_branch=branch) for name in OUTPUTS]
    return network(nodes, [numpy_helper.from_array(np.array(True), "yes")])


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/*.onnx")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_shipped_networks_pass(path: Path) -> None:
    refuse_external_data(path.read_bytes())


def test_a_model_that_onnx_saved_with_external_data_is_refused_by_the_tensor_s_name(tmp_path: Path) -> None:
    model = network(
        [helper.make_node("Add", ["hu", "bulky"], [name]) for name in OUTPUTS],
        [numpy_helper.from_array(np.zeros((1, 1, 8, 8, 8), np.float32), "bulky")],
    )
    refuse_external_data(content(model))
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=16)
    with pytest.raises(ModelInvalid, match="tensor 'bulky' of the network has its data in another file"):
        refuse_external_data((tmp_path / "model.onnx").read_bytes())


@pytest.mark.parametrize(("model", "tensor"), [
    (network([helper.make_node("Identity", ["hu"], [name]) for name in OUTPUTS], [external("outside")]), "outside"),
    (weights_in_attribute(), "inner"),
    (weights_in_subgraph(), "deep"),
], ids=["initializer", "attribute", "subgraph"])  # fmt: skip
def test_external_data_is_found_wherever_it_hides(model: onnx.ModelProto, tensor: str) -> None:
    with pytest.raises(ModelInvalid, match=f"'{tensor}'"):
        refuse_external_data(model.SerializeToString())


def test_a_place_without_its_flag_is_found_too() -> None:
    tensor = external("unflagged")
    tensor.ClearField("data_location")
    model = thresholds()
    model.graph.initializer.append(tensor)
    with pytest.raises(ModelInvalid, match="'unflagged'"):
        refuse_external_data(model.SerializeToString())


@given(st.binary(max_size=200))
def test_rubbish_is_refused_or_passed_to_the_loader_and_nothing_else(content_: bytes) -> None:
    try:
        refuse_external_data(content_)
    except ModelInvalid:
        return


@given(st.integers(1, 400))
def test_a_file_cut_short_is_refused_or_holds_a_whole_graph(missing: int) -> None:
    whole = content()
    with pytest.raises(ModelInvalid, match="no ONNX model"):
        refuse_external_data(whole[:max(0, len(whole) - 20 - missing)])


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ModelInvalid, match="holds no graph"):
        refuse_external_data(b"")


def test_the_case_s_own_constants_are_inside() -> None:
    assert constant("air", -500).data_location == TensorProto.DEFAULT
    refuse_external_data(content())
