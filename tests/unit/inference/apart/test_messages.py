"""What is said between the two processes: read by its form alone, and nothing that is not exactly so."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from vigil.domain.errors import Category
from vigil.domain.manifest import Network
from vigil.inference.apart.errors import Garbled
from vigil.inference.apart.messages import End, Failed, Gave, Made, Make, Ready, Run, answer_of, as_bytes, order_of
from vigil.inference.apart.tensors import Head
from vigil.inference.providers import Accelerator
from vigil.inference.tensor_form import TensorForm

HEAD = Head(name="y", type="float32", shape=(1, 2))


def test_every_order_is_read_as_it_was_given() -> None:
    make = Make(
        number=1, network=Network(file="model.onnx", inputs={"a": (0, 1), "b": "t1"}, outputs=("y",)),
        form=TensorForm("NCDHW", "float32", (1, None, 3, None, None), ports=(("a", 2), ("b", 1))),
        accelerator=Accelerator("tensorrt", 1, 512, True, Path("/var/engines")), threads=2, allow_cpu_fallback=True,
        room_bytes=1 << 40, tensors=(HEAD,))
    for order in (make, Run(number=2, session=0, tensors=(HEAD, HEAD)), End(number=2)):
        assert order_of(as_bytes(order)) == order


def test_every_answer_is_read_as_it_was_given() -> None:
    for answer in (
        Ready(python="3.11", vigil="0.1.0"), Gave(number=7, tensors=()), Failed(
            number=7, category=Category.OUT_OF_MEMORY, message="not enough"),
        Made(number=7, provider="cuda", described="ONNX Runtime", warm_shape=(1, 1), tensors=(HEAD,)),
    ):
        assert answer_of(as_bytes(answer)) == answer


def gave(**changes: Any) -> bytes:
    return json.dumps({"kind": "gave", "number": 1, "tensors": []} | changes).encode()


def head(**changes: Any) -> bytes:
    return gave(tensors=[{"name": "y", "type": "float32", "shape": [1]} | changes])


@pytest.mark.parametrize("content", [
    b"", b"{", b"null", b"[" * 60_000, b"\xff\xfe\x00", gave()[:-5], pickle.dumps(print), gave(kind="other"), gave(more=1),
    gave(number=-1), gave(number="1"), gave(number=True), gave(number=1.5), gave(tensors=[1]),
    gave(tensors=json.loads(head())["tensors"] * 65),
    head(type="object"), head(type="float32,O"), head(shape=[-1]), head(shape=[1.0]), head(shape=[1 << 41]), head(shape=[1] * 17),
    head(name=1), head(name="x" * 257), head(place=0),
    b'{"kind":"failed","number":1,"category":"policy","message":"x"}', b'{"kind":"failed","number":1,"category":"internal"}',
    b'{"kind":"failed","number":1,"category":"internal","message":"' + b"x" * 1001 + b'"}',
    b'{"kind":"made","number":1,"provider":"mine","described":"x","warm_shape":[1],"tensors":[]}',
    b'{"kind":"made","number":1,"provider":"cpu","described":"x\\n","warm_shape":[1],"tensors":[]}',
    b'{"kind":"made","number":1,"provider":"cpu","described":"x","warm_shape":[],"tensors":[]}',
])
def test_what_is_not_exactly_an_answer_is_none(content: bytes) -> None:
    with pytest.raises(Garbled):
        answer_of(content)


def test_an_answer_is_no_order() -> None:
    with pytest.raises(Garbled):
        order_of(gave())
