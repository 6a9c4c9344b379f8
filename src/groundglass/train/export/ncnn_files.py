"""The slice encoder as ncnn reads it, which runs it in f32 (docs/decisions/0012-winograd.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from groundglass.infer.bundle import (
    ENCODER,
    FEATURES,
    map_names,
)
from groundglass.infer.bundle_paths import ncnn_files
from groundglass.train.networks import SliceEncoder

#: Grid that maps are averaged to, as a part of the image's side.
SHRINK = 4
#: What an ncnn parameter file begins with, and a layer's weights where they are plain f32.
_MAGIC, _PLAIN_F32 = 7767517, bytes(4)


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """One line of the parameter file: ncnn's operator, its blobs and numbered settings."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    settings: Mapping[int, float] = field(default_factory=dict)
    weights: tuple[NDArray[np.float32], ...] = ()


def write_ncnn_files(net: SliceEncoder, folder: Path) -> None:
    """Write the encoder's files beside its ONNX file, whose weights they take.

    Parameters
    ----------
    net : SliceEncoder
        Of the encoder's sizes; its own weights are not read, as export has folded the
        normalisation into those of the ONNX file.
    folder : Path
        The bundle's.
    """
    layers = list(_layers(net, _convolutions(folder / ENCODER)))
    outputs = (FEATURES, *map_names(len(net.layers)))
    parameters, weights = ncnn_files(folder / ENCODER)
    parameters.write_text(_parameters(layers, outputs), encoding="ascii")
    blocks = [_PLAIN_F32 + b"".join(w.tobytes() for w in one.weights) for one in layers
              if one.weights]  # fmt: skip
    weights.write_bytes(b"".join(blocks))


def _convolutions(path: Path) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weights and bias of each convolution of an ONNX file, in its order."""
    graph = onnx.load(str(path)).graph
    values = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            _, weights, bias = node.input
            yield values[weights], values[bias]


def _layers(
    net: SliceEncoder, convolutions: Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]
) -> Iterator[_Layer]:
    """What `SliceEncoder.maps` and the exported graph around it do, from 8-bit grey values."""
    yield _Layer("Input", (), "image")
    yield _Layer("BinaryOp", ("image",), "scaled", {0: 3, 1: 1, 2: 255.0})  # divided by a number
    read, largest, side = "scaled", [], 1
    if net.fold > 1:
        yield _Layer("Reorg", (read,), "folded", {0: net.fold})
        read, side = "folded", net.fold
    if 0 in net.pools:
        yield _halved(read, "halved")
        read, side = "halved", 2 * side
    for level, (layer, name) in enumerate(zip(net.layers, map_names(len(net.layers)), strict=True)):
        averaged = SHRINK // side > 1
        count = sum(isinstance(part, nn.Conv2d) for part in layer.children())
        for number in range(count):
            weights, bias = next(convolutions)
            last = number == count - 1 and not averaged
            output = name if last else f"{name}_{number}"
            settings = {0: len(weights), 1: 3, 4: 1, 5: 1, 6: weights.size, 9: 1}  # 3×3, bias, ReLU
            yield _Layer("Convolution", (read,), output, settings, (weights, bias))
            read = output
        if averaged:
            size = SHRINK // side
            yield _Layer("Pooling", (read,), name, {0: 1, 1: size, 2: size, 5: 1})
        if level + 1 in net.pools:
            yield _halved(read, f"{name}_halved")
            read, side = f"{name}_halved", 2 * side
        largest.append(f"{name}_largest")
        yield _Layer("Pooling", (read,), largest[-1], {4: 1})
    yield _Layer("Concat", tuple(largest), FEATURES)


def _halved(read: str, output: str) -> _Layer:
    """The maxima of 2×2 cells."""
    return _Layer("Pooling", (read,), output, {1: 2, 2: 2, 5: 1})


def _parameters(layers: Sequence[_Layer], outputs: Sequence[str]) -> str:
    """The parameter file; who reads a blob beside others gets a copy of it, as ncnn wants it."""
    readers = Counter([*outputs, *(name for one in layers for name in one.inputs)])
    taken: Counter[str] = Counter()

    def read(name: str) -> str:
        if readers[name] == 1:
            return name
        taken[name] += 1
        return f"{name}_copy{taken[name]}"

    lines, blobs = [], 0
    for one in layers:
        inputs, output = [read(name) for name in one.inputs], one.output
        copies = readers[output] if readers[output] > 1 else 0
        whole = f"{output}_whole" if copies else output
        lines.append(_line(one.kind, inputs, [whole], one.settings))
        if copies:
            names = [output] if output in outputs else []
            names += [f"{output}_copy{k}" for k in range(1, copies + 1 - len(names))]
            lines.append(_line("Split", [whole], names, {}))
        blobs += 1 + copies
    return "\n".join((str(_MAGIC), f"{len(lines)} {blobs}", *lines, ""))


def _line(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], settings: Mapping[int, float]
) -> str:
    numbers = (f"{key}={value}" for key, value in settings.items())
    name = f"{kind}_{outputs[0]}"
    return " ".join((kind, name, str(len(inputs)), str(len(outputs)), *inputs, *outputs, *numbers))
