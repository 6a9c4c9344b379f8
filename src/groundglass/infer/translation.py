"""A plain stack of convolutions, read from a graph and written as ncnn's two files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What an ncnn parameter file begins with.
_MAGIC = 7767517
#: What stands before a layer's weights in ncnn's file: they are plain f32.
_PLAIN_F32 = bytes(4)
#: Axes of the weights of a convolution in a plane.
_PLANE = 4
#: ncnn's numbers of a layer's parameters.
_CHANNELS, _KERNEL, _STRIDE, _PADDING, _HAS_BIAS, _WEIGHTS, _ACTIVATION = 0, 1, 3, 4, 5, 6, 9
_RELU = 1
_POOL_SIZE, _POOL_STRIDE, _POOL_WHOLE, _POOL_UNPADDED = 1, 2, 4, 5
_VALID = 1


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One line of an ncnn parameter file.

    Parameters
    ----------
    kind : str
        ncnn's name of the operator.
    inputs : tuple of str
        Blobs read.
    output : str
        Blob written.
    settings : mapping of int to int
        ncnn's numbered parameters.
    weights : tuple of ndarray of float32
        In the order ncnn reads them.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    settings: Mapping[int, int] = field(default_factory=dict)
    weights: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """A network in ncnn's files.

    Parameters
    ----------
    source : openvino.Output
        What enters the first convolution; what the graph does before is not translated.
    parameters : str
        The parameter file.
    weights : bytes
        The weight file.
    input : str
        Blob that enters.
    outputs : tuple of str
        Blobs to extract, in the order of the graph's outputs.
    shapes : tuple of tuple of int
        Of the outputs, for one image.
    """

    source: Any
    parameters: str
    weights: bytes
    input: str
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


Layers = dict[str, Layer]


def translate(model: Any) -> Stack | None:
    """The part of a graph from its first convolution on.

    Parameters
    ----------
    model : openvino.Model
        Of fixed shapes, its constants folded.

    Returns
    -------
    Stack or None
        None where the graph has an operator, or a form of one, that is not translated here.
    """
    first = next((op for op in model.get_ordered_ops() if _kind(op) == "Convolution"), None)
    if first is None:
        return None
    source = first.input_value(0)
    layers = {_blob(source): Layer("Input", (), _blob(source))}
    for op in model.get_ordered_ops():
        inputs = [_blob(one) for one in op.input_values() if _kind(one.get_node()) != "Constant"]
        beside = not inputs or not all(name in layers for name in inputs)
        if beside or _kind(op) == "Result":
            continue
        translated = _TRANSLATED.get(_kind(op))
        layer = translated(op, layers) if translated else None
        if layer is None:
            return None
        layers[layer.output] = layer
    wanted = [result.input_value(0) for result in model.get_results()]
    if not all(_blob(one) in layers for one in wanted):
        return None
    return _wired(source, list(layers.values()), wanted)


def _convolution(op: Any, _layers: Layers) -> Layer | None:
    """A square convolution, the same step and padding on all sides."""
    said = op.get_attributes()
    weights = _constant(op.input_value(1))
    padding = {*said["pads_begin"], *said["pads_end"]}
    plain = {*said["dilations"]} == {1} and {*said["strides"]} == {1} and len(padding) == 1
    if weights is None or not plain or weights.ndim != _PLANE or len({*weights.shape[2:]}) != 1:
        return None
    settings = {
        _CHANNELS: len(weights), _KERNEL: weights.shape[2], _STRIDE: 1, _PADDING: padding.pop(),
        _WEIGHTS: weights.size,
    }  # fmt: skip
    return Layer("Convolution", (_only(op),), _blob(op.output(0)), settings, (weights,))


def _bias(op: Any, layers: Layers) -> Layer | None:
    """A constant per channel, added by the convolution before."""
    bias = _constant(op.input_value(1))
    before = layers.get(_blob(op.input_value(0)))
    if bias is None or before is None or before.kind != "Convolution" or len(before.weights) != 1:
        return None
    if bias.shape != (1, len(before.weights[0]), 1, 1) or _ACTIVATION in before.settings:
        return None
    return _instead(op, before, layers, {_HAS_BIAS: 1}, (*before.weights, bias))


def _relu(op: Any, layers: Layers) -> Layer | None:
    """Negative values cut off by the convolution before."""
    before = layers[_only(op)]
    if before.kind != "Convolution":
        return None
    return _instead(op, before, layers, {_ACTIVATION: _RELU}, before.weights)


def _instead(
    op: Any,
    before: Layer,
    layers: Layers,
    more: Mapping[int, int],
    weights: tuple[NDArray[np.float32], ...],
) -> Layer:
    """The layer before doing this operator's work too; what it gave alone is no longer there."""
    del layers[before.output]
    settings = {**before.settings, **more}
    return replace(before, output=_blob(op.output(0)), settings=settings, weights=weights)


def _pool(op: Any, _layers: Layers) -> Layer | None:
    """A maximum of squares that do not overlap."""
    said = op.get_attributes()
    sizes = {*said["kernel"], *said["strides"]}
    plain = {*said["dilations"]} == {1} and {*said["pads_begin"], *said["pads_end"]} == {0}
    if len(sizes) != 1 or not plain or said["rounding_type"] != "floor":
        return None
    size = sizes.pop()
    settings = {_POOL_SIZE: size, _POOL_STRIDE: size, _POOL_UNPADDED: _VALID}
    return Layer("Pooling", (_only(op),), _blob(op.output(0)), settings)


def _largest(op: Any, _layers: Layers) -> Layer | None:
    """A channel's largest value."""
    axes = _constant(op.input_value(1))
    if axes is None or sorted(axes.tolist()) != [2, 3] or op.get_attributes()["keep_dims"]:
        return None
    return Layer("Pooling", (_only(op),), _blob(op.output(0)), {_POOL_WHOLE: 1})


def _joined(op: Any, _layers: Layers) -> Layer | None:
    """Channels one after the other, of maps or of vectors."""
    inputs = tuple(_blob(one) for one in op.input_values())
    if op.get_attributes()["axis"] != 1:
        return None
    return Layer("Concat", inputs, _blob(op.output(0)))


_TRANSLATED: Mapping[str, Callable[[Any, Layers], Layer | None]] = MappingProxyType(
    {
        "Convolution": _convolution,
        "Add": _bias,
        "Relu": _relu,
        "MaxPool": _pool,
        "ReduceMax": _largest,
        "Concat": _joined,
    }
)


def _wired(source: Any, layers: Sequence[Layer], wanted: Sequence[Any]) -> Stack:
    """Both files; each reader of a blob gets a copy of it, as ncnn wants it, and so do we."""
    outputs = [_blob(one) for one in wanted]
    readers = Counter(name for layer in layers for name in layer.inputs) + Counter(outputs)
    taken: dict[str, int] = defaultdict(int)

    def read(name: str) -> str:
        if readers[name] == 1:
            return name
        taken[name] += 1
        return f"{name}_{taken[name]}"

    lines, blobs = [], 0
    for layer in layers:
        inputs = [read(name) for name in layer.inputs]
        lines.append(_line(layer.kind, inputs, [layer.output], layer.settings))
        copies = readers[layer.output] if readers[layer.output] > 1 else 0
        if copies:
            names = [f"{layer.output}_{number + 1}" for number in range(copies)]
            lines.append(_line("Split", [layer.output], names, {}))
        blobs += 1 + copies
    weights = b"".join(
        _PLAIN_F32 + b"".join(np.ascontiguousarray(one).tobytes() for one in layer.weights)
        for layer in layers
        if layer.weights
    )
    text = "\n".join((str(_MAGIC), f"{len(lines)} {blobs}", *lines, ""))
    shapes = tuple(tuple(one.get_shape())[1:] for one in wanted)
    return Stack(source, text, weights, layers[0].output, tuple(map(read, outputs)), shapes)


def _line(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], settings: Mapping[int, int]
) -> str:
    name = f"{kind}_{outputs[0]}"
    numbers = (f"{key}={value}" for key, value in settings.items())
    return " ".join((kind, name, str(len(inputs)), str(len(outputs)), *inputs, *outputs, *numbers))


def _kind(op: Any) -> str:
    return str(op.get_type_name())


def _blob(output: Any) -> str:
    """A name for what an operator gives, in letters and digits: others would part ncnn's lines."""
    name = f"{output.get_node().get_friendly_name()}:{output.get_index()}"
    return "".join(c if c.isalnum() else f"_{ord(c):x}_" for c in name)


def _only(op: Any) -> str:
    return _blob(op.input_value(0))


def _constant(output: Any) -> NDArray[Any] | None:
    node = output.get_node()
    return np.array(node.get_data()) if _kind(node) == "Constant" else None
