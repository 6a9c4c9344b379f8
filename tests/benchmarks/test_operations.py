"""Operations of a graph, against counts by hand."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx", reason="counting operations reads ONNX")

import numpy as np  # noqa: E402
from benchmarks.operations import counted, operations  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from groundglass.infer import load_bundle  # noqa: E402
from groundglass.infer.bundle import SEGMENTER  # noqa: E402


def model(nodes: list, given: list, weights: dict[str, tuple[int, ...]], outputs: list[str]):  # type: ignore[no-untyped-def, type-arg]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def convolution(**more: object):  # type: ignore[no-untyped-def]
    return helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], **more)


def test_a_convolution_multiplies_kernel_and_channels_for_every_output() -> None:
    made = model([convolution(pads=[1] * 4)], ["n", 4, 10, 12], {"w": (8, 4, 3, 3)}, ["y"])
    (one,) = counted(made, 5)
    assert one.count == 2 * (5 * 8 * 10 * 12) * (4 * 3 * 3)
    assert one.moved == 5 * 4 * 10 * 12 + 8 * 4 * 9 + 5 * 8 * 10 * 12


def test_strides_and_groups_are_seen() -> None:
    node = convolution(pads=[1] * 4, strides=[2, 2], group=2)
    (one,) = counted(model([node], ["n", 4, 10, 12], {"w": (8, 2, 3, 3)}, ["y"]), 1)
    assert one.count == 2 * (8 * 5 * 6) * (2 * 3 * 3)


def test_a_transposed_convolution_counts_from_its_inputs() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    (one,) = counted(model([node], ["n", 6, 5, 5], {"w": (6, 3, 2, 2)}, ["y"]), 1)
    assert one.count == 2 * (6 * 5 * 5) * (3 * 2 * 2)


@pytest.mark.parametrize(("kind", "turned"), [("MatMul", None), ("Gemm", 0), ("Gemm", 1)])
def test_a_product_is_rows_times_columns_times_depth(kind: str, turned: int | None) -> None:
    more = {} if turned is None else {"transB": turned}
    node = helper.make_node(kind, ["x", "w"], ["y"], **more)
    weights = (3, 7) if turned else (7, 3)
    (one,) = counted(model([node], ["n", 7], {"w": weights}, ["y"]), 4)
    assert one.count == 2 * 4 * 7 * 3


def test_an_lstm_has_four_gates_in_each_direction_and_step() -> None:
    node = helper.make_node(
        "LSTM", ["x", "w", "r"], ["y"], hidden_size=5, direction="bidirectional"
    )
    weights = {"w": (2, 20, 7), "r": (2, 20, 5)}
    (one,) = counted(model([node], [11, 3, 7], weights, ["y"]), 11)
    assert one.count == 2 * 11 * 3 * (2 * 4 * 5 * (7 + 5))


def test_what_only_another_output_needs_does_not_count() -> None:
    second = helper.make_node("Conv", ["y", "v"], ["z"], kernel_shape=[1, 1])
    weights = {"w": (8, 4, 3, 3), "v": (2, 8, 1, 1)}
    made = [convolution(), second]
    whole = counted(model(made, ["n", 4, 5, 5], weights, ["y", "z"]), 1)
    part = counted(model(made, ["n", 4, 5, 5], weights, ["y", "z"]), 1, ["y"])
    assert whole[: len(part)] == part
    assert len(whole) == 2


def test_a_shape_that_does_not_follow_is_refused() -> None:
    made = model([convolution()], ["n", 4, "rows", "columns"], {"w": (8, 4, 3, 3)}, ["y"])
    with pytest.raises(ValueError, match="not known"):
        counted(made, 1)


def test_twice_the_batch_is_twice_the_work_in_the_shipped_segmenter() -> None:
    path = load_bundle().path(SEGMENTER)
    one, two = (sum(o.count for o in operations(path, batch)) for batch in (1, 2))
    assert two == 2 * one > 10**8
