"""How many operations a network of a bundle needs, counted from its ONNX graph.

A multiplication with its addition counts as two, as in the figures makers of processors give. Only
what multiplies matrices counts: convolutions, matrix products and LSTM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper, shape_inference


@dataclass(frozen=True, slots=True)
class Operation:
    """What one node needs: operations of one call; numbers read and written, each once."""

    node: str
    kind: str
    count: int
    moved: int


def operations(path: Path, batch: int, outputs: Sequence[str] = ()) -> tuple[Operation, ...]:
    """The operations of one call of a network with so many items.

    What only outputs need that are not wanted does not count; all are wanted unless given.
    """
    return counted(onnx.load(str(path)), batch, outputs)


def counted(
    model: onnx.ModelProto, batch: int, outputs: Sequence[str] = ()
) -> tuple[Operation, ...]:
    """As `operations`, of a model in memory."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    for one in model.graph.output:  # what the exporter noted there may not hold for this batch
        one.type.tensor_type.ClearField("shape")
    whole = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = dict(_shapes(whole.graph))
    nodes = _needed(whole.graph, outputs or [one.name for one in whole.graph.output])
    return tuple(_operation(node, shapes) for node in nodes if node.op_type in _COUNT)


def _shapes(graph: onnx.GraphProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    for info in (*graph.input, *graph.value_info, *graph.output):
        yield info.name, tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
    for one in graph.initializer:
        yield one.name, tuple(one.dims)
    for node in graph.node:
        if node.op_type == "Constant":
            yield node.output[0], numpy_helper.to_array(node.attribute[0].t).shape


def _needed(graph: onnx.GraphProto, outputs: Sequence[str]) -> list[onnx.NodeProto]:
    wanted, found = set(outputs), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            found.append(node)
            wanted |= set(node.input)
    return found[::-1]


def _operation(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> Operation:
    names = [name for name in (*node.input, node.output[0]) if name in shapes]
    unknown = [name for name in names if 0 in shapes[name]]
    if unknown or node.output[0] not in shapes:
        raise ValueError(
            f"{node.op_type} {node.name}: shape of {unknown or node.output[0]} not known; expected "
            "a graph whose shapes follow from its input's; export it with fixed sizes"
        )
    given = [shapes[name] for name in node.input if name in shapes]
    count = _COUNT[node.op_type](node, given, shapes[node.output[0]])
    return Operation(node.name, node.op_type, count, sum(prod(shapes[name]) for name in names))


def _convolution(_node: Any, given: list[tuple[int, ...]], out: tuple[int, ...]) -> int:
    """Every output is a sum over kernel and the input channels of its group."""
    return 2 * prod(out) * prod(given[1][1:])


def _transposed(_node: Any, given: list[tuple[int, ...]], _out: tuple[int, ...]) -> int:
    """Every input is multiplied with kernel and output channels of its group."""
    return 2 * prod(given[0]) * prod(given[1][1:])


def _product(_node: Any, given: list[tuple[int, ...]], out: tuple[int, ...]) -> int:
    return 2 * prod(out) * given[0][-1]


def _gemm(node: Any, given: list[tuple[int, ...]], out: tuple[int, ...]) -> int:
    turned = any(a.name == "transA" and a.i for a in node.attribute)
    return 2 * prod(out) * given[0][0 if turned else 1]


def _lstm(_node: Any, given: list[tuple[int, ...]], _out: tuple[int, ...]) -> int:
    """Four gates from input and state, in every step and direction."""
    (steps, items, _), weights, recurrent = given[:3]
    return 2 * steps * items * (prod(weights) + prod(recurrent))


_COUNT = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "MatMul": _product,
    "Gemm": _gemm,
    "LSTM": _lstm,
}
