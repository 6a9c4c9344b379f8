"""A plain stack of convolutions on an 8-bit image, read from a graph, written as ncnn's files."""

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
#: Axes of images, and of the weights of a convolution in a plane.
_PLANE = 4
#: How the six axes of an image cut into cells are ordered: a cell's pixels before the cells.
_CELLS_LAST = [0, 1, 3, 5, 2, 4]
#: ncnn's numbers of a layer's parameters.
_CHANNELS, _KERNEL, _STRIDE, _PADDING, _HAS_BIAS, _WEIGHTS, _ACTIVATION = 0, 1, 3, 4, 5, 6, 9
_RELU = 1
_POOL_SIZE, _POOL_STRIDE, _POOL_WHOLE, _POOL_UNPADDED = 1, 2, 4, 5
_VALID = 1
_OPERATION, _WITH_NUMBER, _NUMBER = 0, 1, 2
_DIVIDE = 3
_SIDE = 0


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
    settings : mapping of int to float
        ncnn's numbered parameters.
    weights : tuple of ndarray of float32
        In the order ncnn reads them.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    settings: Mapping[int, float] = field(default_factory=dict)
    weights: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """A network in ncnn's files.

    Parameters
    ----------
    parameters : str
        The parameter file.
    weights : bytes
        The weight file.
    input : str
        Blob that enters: an image's grey values, 0 to 255.
    outputs : tuple of str
        Blobs to extract, in the order of the graph's outputs.
    shapes : tuple of tuple of int
        Of the outputs, for one image.
    """

    parameters: str
    weights: bytes
    input: str
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


Layers = dict[str, Layer]


def translate(model: Any) -> Stack | None:
    """A graph as a stack.

    Parameters
    ----------
    model : openvino.Model
        Of fixed shapes, its constants folded.

    Returns
    -------
    Stack or None
        None where the graph has an operator, or a form of one, that is not translated here.
    """
    layers: Layers = {}
    for op in model.get_ordered_ops():
        if _kind(op) in ("Constant", "Result") or _in_cells(op):
            continue
        translated = _TRANSLATED.get(_kind(op))
        layer = translated(op, layers) if translated else None
        if layer is None:
            return None
        layers[layer.output] = layer
    wanted = [result.input_value(0) for result in model.get_results()]
    # A value that another operator took over, or one in cells, may be wanted for itself too.
    read = {*map(_blob, wanted), *(name for layer in layers.values() for name in layer.inputs)}
    return _wired(list(layers.values()), wanted) if read <= layers.keys() else None


def _image(op: Any, layers: Layers) -> Layer | None:
    """The one input: 8-bit images."""
    images = op.output(0)
    if layers or images.get_element_type().to_dtype() != np.uint8:
        return None
    _, *image = images.get_shape()
    grey = len(image) == _PLANE - 1 and image[0] == 1
    return Layer("Input", (), _blob(images)) if grey else None


def _as_floats(op: Any, layers: Layers) -> Layer | None:
    """The images as floats, as which ncnn gets them."""
    before = layers.get(_only(op))
    wide = op.get_attributes()["destination_type"] == "f32"
    if before is None or before.kind != "Input" or not wide:
        return None
    return _instead(op, before, layers, {}, ())


def _divided(op: Any, _layers: Layers) -> Layer | None:
    """Values divided by a number."""
    divisor = _constant(op.input_value(1))
    if divisor is None or divisor.size != 1:
        return None
    settings = {_OPERATION: _DIVIDE, _WITH_NUMBER: 1, _NUMBER: float(divisor.item())}
    return Layer("BinaryOp", (_only(op),), _blob(op.output(0)), settings)


def _in_cells(op: Any) -> bool:
    """Whether what the operator gives is an image cut into cells, on its way to being folded."""
    return len(op.output(0).get_partial_shape()) > _PLANE


def _folded(op: Any, _layers: Layers) -> Layer | None:
    """The pixels of each square cell as channels, which takes a graph three operators."""
    ordered = op.input_value(0).get_node()
    cut = ordered.input_value(0).get_node() if _kind(ordered) == "Transpose" else None
    if cut is None or _kind(cut) != "Reshape" or not _in_cells(cut):
        return None
    order = _constant(ordered.input_value(1))
    number, channels, rows, side, columns, *_ = cells = list(cut.output(0).get_shape())
    plain = cells == [number, channels, rows, side, columns, side]
    image = [number, channels, rows * side, columns * side]
    folded = [number, channels * side**2, rows, columns]
    shapes = [list(one.get_shape()) for one in (cut.input_value(0), op.output(0))]
    if order is None or order.tolist() != _CELLS_LAST or not plain or shapes != [image, folded]:
        return None
    return Layer("Reorg", (_blob(cut.input_value(0)),), _blob(op.output(0)), {_SIDE: side})


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
    before = layers.get(_only(op))
    if before is None or before.kind != "Convolution":
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
        "Parameter": _image,
        "Convert": _as_floats,
        "Divide": _divided,
        "Reshape": _folded,
        "Convolution": _convolution,
        "Add": _bias,
        "Relu": _relu,
        "MaxPool": _pool,
        "ReduceMax": _largest,
        "Concat": _joined,
    }
)


def _wired(layers: Sequence[Layer], wanted: Sequence[Any]) -> Stack:
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
    return Stack(text, weights, layers[0].output, tuple(map(read, outputs)), shapes)


def _line(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], settings: Mapping[int, float]
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
