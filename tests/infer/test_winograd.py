"""Stacks of convolutions through ncnn give what OpenVINO gives; what is not translated is left."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from groundglass.infer import CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import ENCODER, FEATURES, HEAD, SEGMENTER
from groundglass.infer.translation import translate
from groundglass.infer.winograd import WinogradNetwork

_RNG = np.random.default_rng(5)
Node = Any


def _weights(*shape: int) -> Node:
    return op.constant(_RNG.normal(scale=0.3, size=shape).astype(np.float32))


def _channels(x: Node) -> int:
    output = x.output(0) if hasattr(x, "output") else x
    return int(output.get_partial_shape()[1].get_length())


def _convolved(x: Node, channels: int, kernel: int = 3, pad: int = 1, stride: int = 1) -> Node:
    weights = _weights(channels, _channels(x), kernel, kernel)
    pads, strides = [pad, pad], [stride, stride]
    return op.convolution(x, weights, strides, pads, pads, [1, 1])


def _biased(x: Node) -> Node:
    return op.add(x, _weights(1, _channels(x), 1, 1))


def _pooled(x: Node, size: int = 2, pad: int = 0, rounding: str = "floor") -> Node:
    sizes = [size, size]
    return op.max_pool(x, sizes, [1, 1], [pad, pad], [pad, pad], sizes, rounding).output(0)


def _largest(x: Node, *axes: int) -> Node:
    return op.reduce_max(x, op.constant(np.array(axes)), keep_dims=False)


def _model(build: Callable[[Node], list[Node]], size: int = 32) -> Any:
    image = op.parameter([2, 1, size, size], np.uint8, name="image")
    before = op.divide(op.convert(image, np.float32), op.constant(np.float32(255)))
    return ov.Model([op.result(one) for one in build(before)], [image], "made")


def _by_openvino(model: Any, images: Any) -> Any:
    """In f32, whatever else the processor offers; by name or by number."""
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)


def _by_ncnn(model: Any, images: Any) -> list[Any]:
    stack = translate(model)
    assert stack is not None
    return list(WinogradNetwork(stack)(images))


def _folded(x: Node, side: int = 4, order: tuple[int, ...] = (0, 1, 3, 5, 2, 4)) -> Node:
    """`torch.nn.functional.pixel_unshuffle` in the three operators that ONNX files have for it."""
    output = x.output(0) if hasattr(x, "output") else x
    number, channels, rows, columns = output.get_shape()
    down, across = rows // side, columns // side
    cells = op.constant(np.array([number, channels, down, side, across, side]))
    cut = op.transpose(op.reshape(x, cells, False), op.constant(np.array(order)))
    whole = [number, channels * side * side, down, across]
    return op.reshape(cut, op.constant(np.array(whole)), False)


def _encoder(x: Node) -> list[Node]:
    """Two layers whose maps are read by others and by us; the features of both."""
    first = op.relu(_biased(_convolved(x, 12)))
    smaller = _pooled(first)
    second = op.relu(_biased(_convolved(smaller, 24)))
    features = op.concat([_largest(smaller, 2, 3), _largest(second, 3, 2)], 1)
    return [features, second, first]


@pytest.mark.parametrize(
    "build",
    [
        _encoder,
        lambda x: [op.relu(_convolved(x, 8))],
        lambda x: [_biased(_convolved(x, 8))],
        lambda x: [_convolved(_convolved(x, 8, kernel=5, pad=2), 8, kernel=1, pad=0)],
        lambda x: [_pooled(op.relu(_biased(_convolved(x, 16))), 4)],
        lambda x: [_largest(_convolved(x, 16), 2, 3)],
        lambda x: [op.concat([_convolved(x, 8), _convolved(x, 4)], 1)],
        lambda x: [_convolved(_folded(x), 8)],
        lambda x: [_convolved(_folded(_convolved(x, 3), 2), 8)],
        lambda x: [_folded(x), x],
    ],
)
def test_a_stack_gives_what_openvino_gives(build: Callable[[Node], list[Node]]) -> None:
    model = _model(build)
    images = _RNG.integers(0, 256, (2, 1, 32, 32), dtype=np.uint8)
    expected = list(_by_openvino(model, images).values())
    found = _by_ncnn(model, images)
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, atol=2e-5 * np.abs(one).max())


@pytest.mark.parametrize(
    "build",
    [
        lambda x: [op.relu(x)],
        lambda x: [op.sigmoid(_convolved(x, 8))],
        lambda x: [op.relu(_biased(_convolved(x, 8, stride=2)))],
        lambda x: [_pooled(_convolved(x, 8), pad=1)],
        lambda x: [_pooled(_convolved(x, 8), rounding="ceil")],
        lambda x: [
            op.convolution(op.squeeze(x, op.constant(1)), _weights(4, 32, 3), [1], [1], [1], [1])
        ],
        lambda x: [_largest(_convolved(x, 8), 1)],
        lambda x: [op.concat([_convolved(x, 8), _convolved(x, 8)], 2)],
        lambda x: [op.max_pool(_convolved(x, 8), [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(1)],
        lambda x: [op.add(_convolved(x, 8), _convolved(x, 8))],
        lambda x: [op.add(_convolved(x, 8), x)],
        lambda x: [op.add(op.relu(_convolved(x, 8)), _weights(1, 8, 1, 1))],
        lambda x: [op.divide(_convolved(x, 8), _weights(1, 8, 1, 1))],
        lambda x: [_convolved(_folded(x, order=(0, 1, 5, 3, 2, 4)), 8)],
        lambda x: [_convolved(op.reshape(x, op.constant([2, 4, 16, 16]), False), 8)],
        lambda x: [_convolved(op.space_to_depth(x, "blocks_first", 2), 8)],
    ],
)
def test_what_is_not_translated_is_left_whole(build: Callable[[Node], list[Node]]) -> None:
    assert translate(_model(build)) is None


def test_values_that_others_read_too_are_not_swallowed() -> None:
    """A sum that is read before and after its ReLU cannot be one layer with it."""

    def asked_for(x: Node) -> list[Node]:
        added = _biased(_convolved(x, 8))
        return [op.relu(added), added]

    def pooled(x: Node) -> list[Node]:
        added = _biased(_convolved(x, 8))
        return [_pooled(added), op.relu(added)]

    assert translate(_model(asked_for)) is None
    assert translate(_model(pooled)) is None


@pytest.mark.parametrize(("channels", "kind"), [(2, np.uint8), (1, np.float32)])
def test_only_grey_images_of_8_bits_are_translated(channels: int, kind: type) -> None:
    image = op.parameter([2, channels, 32, 32], kind, name="image")
    wide = op.convert(image, np.float32) if kind is np.uint8 else image
    model = ov.Model([op.result(_convolved(wide, 8))], [image], "made")
    assert translate(model) is None


def test_images_need_not_lie_in_one_piece() -> None:
    network = CpuEngine(Precision.F32).compile(load_bundle().path(ENCODER), 2, (FEATURES,))
    wide = _RNG.integers(0, 256, (2, 1, 256, 512), dtype=np.uint8)[..., ::2]
    np.testing.assert_array_equal(network(wide)[0], network(wide.copy())[0])


def test_a_batch_is_as_its_images_one_by_one() -> None:
    engine = CpuEngine(Precision.F32)
    network = engine.compile(load_bundle().path(ENCODER), 4, (FEATURES,))
    images = _RNG.integers(0, 256, (7, 1, 256, 256), dtype=np.uint8)
    (together,) = network(images)
    alone = np.concatenate([network(image[None])[0] for image in images])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("file", [ENCODER, SEGMENTER])
def test_no_images_give_no_answers_of_the_same_form(file: str) -> None:
    network = CpuEngine(Precision.F32).compile(load_bundle().path(file), 2)
    some = network(np.zeros((1, 1, 256, 256), np.uint8))
    none = network(np.zeros((0, 1, 256, 256), np.uint8))
    assert [one.shape for one in none] == [(0, *one.shape[1:]) for one in some]


def test_no_folder_is_needed_to_write_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    network = CpuEngine(Precision.F32).compile(load_bundle().path(ENCODER), 2)
    assert isinstance(network, WinogradNetwork)


@pytest.mark.parametrize(("file", "kind"), [(ENCODER, True), (SEGMENTER, False), (HEAD, False)])
def test_of_the_shipped_networks_the_encoder_is_a_stack(file: str, kind: bool) -> None:
    network = CpuEngine(Precision.F32).compile(load_bundle().path(file), 2)
    assert isinstance(network, WinogradNetwork) == kind


def test_the_shipped_encoder_gives_what_openvino_gives() -> None:
    path: Path = load_bundle().path(ENCODER)
    engine = CpuEngine(Precision.F32)
    names = engine.outputs(path)
    images = np.sort(_RNG.integers(0, 256, (3, 1, 256, 256), dtype=np.uint8), axis=2)
    expected = _by_openvino(ov.Core().read_model(str(path)), images)
    for name, found in zip(names, engine.compile(path, 3, names)(images), strict=True):
        one = expected[name]
        np.testing.assert_allclose(found, one, atol=1e-5 * np.abs(one).max(), err_msg=name)
