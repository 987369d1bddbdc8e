"""Looks into an ONNX file for weights that lie outside it, and for operators that no ONNX Runtime brings with it.

Such weights would be loaded by path at run time, whatever was hashed and approved, and from wherever the path leads. So a
model must hold its weights itself. Only the few fields on the way to a tensor are read (onnx.proto3, IR version 10).
"""

from __future__ import annotations

from collections.abc import Iterator

from vigil.inference.errors import ModelInvalid

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 64

# Message: field number -> message that it holds. Only what leads to a TensorProto.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
_OPERATORS, _FUNCTION, _OPERATORS_DOMAIN, _FUNCTION_DOMAIN = 8, 25, 1, 10
_KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Of ONNX itself, and of ONNX Runtime (fp16 and int8 graphs use it)."""
_TENSOR_NAME, _TENSOR_DATA_LOCATION, _EXTERNAL = 8, 14, 1


def refuse_external_data(model: bytes) -> None:
    """Raises: ModelInvalid where the bytes are no ONNX file, or where a tensor's data lies in another file."""
    view = memoryview(model)
    try:
        if not any(field == 7 for field, _, _ in _walk(view)):
            raise ModelInvalid("the network file is no ONNX model: it holds no graph; export it again")
        named = next(_external(view, "model", 0), None)
    except (IndexError, UnicodeDecodeError) as error:
        raise ModelInvalid(f"the network file is no ONNX model ({type(error).__name__}); export it again") from None
    if named is not None:
        raise ModelInvalid(
            f"the tensor '{named}' of the network has its data in another file; save the model with its weights inside "
            "(onnx.save with save_as_external_data=False)"
        )


def refuse_custom_operators(model: bytes) -> None:
    """Raises: ModelInvalid where the graph takes operators of a domain that would need a library of its own (code that nobody
    approved), and that it does not define itself as functions."""
    taken, own = set[str](), set[str]()
    for field, wire, value in _walk(memoryview(model)):
        if wire == _BYTES and isinstance(value, memoryview) and field in (_OPERATORS, _FUNCTION):
            names = taken if field == _OPERATORS else own
            names.add(_text(value, _OPERATORS_DOMAIN if field == _OPERATORS else _FUNCTION_DOMAIN))
    unknown = sorted(taken - own - _KNOWN_DOMAINS)
    if unknown:
        raise ModelInvalid(
            f"the network uses custom operators of '{unknown[0]}', which need a library of their own; export it with ONNX's "
            "own operators alone"
        )


def _text(message: memoryview, wanted: int) -> str:
    """A text field of a message; empty where it is not there."""
    found = (value for field, _, value in _walk(message) if field == wanted and isinstance(value, memoryview))
    return bytes(next(found, b"")).decode("utf-8", "replace")


def _external(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ModelInvalid(f"the graphs of the network lie more than {_DEEPEST} deep in one another")
    name = ""
    outside = False
    for field, wire, value in _walk(message):
        if kind == "tensor" and field == _TENSOR_NAME and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8", "replace")
        if kind == "tensor" and field == _TENSOR_DATA_LOCATION and value == _EXTERNAL:
            outside = True
        inner = _FIELDS[kind].get(field)
        if inner == "external":
            outside = True
        elif inner is not None and wire == _BYTES and isinstance(value, memoryview):
            yield from _external(value, inner, depth + 1)
    if outside:
        yield name


def _walk(message: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Field number, wire type and value of each field (Protocol Buffers encoding)."""
    offset = 0
    while offset < len(message):
        key, offset = _varint(message, offset)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            number, offset = _varint(message, offset)
            yield field, wire, number
            continue
        if wire == _BYTES:
            size, offset = _varint(message, offset)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise IndexError
        if field == 0 or offset + size > len(message):
            raise IndexError
        yield field, wire, message[offset:offset + size]
        offset += size


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise IndexError
