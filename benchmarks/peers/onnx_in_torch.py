"""A bundle's ONNX graph executed by PyTorch, operator by operator.

For comparing speed of one and the same network: PyTorch gets the exported graph, with
normalisation already folded into the convolutions, which is the faster form of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.peers import NotHere


class OnnxInTorch(nn.Module):
    """One output of an ONNX file with one input.

    Parameters
    ----------
    path : Path
        The file.
    output : str
        Name of the output; what only others need is not computed.

    Raises
    ------
    NotHere
        The graph has an operator that is not translated here.
    """

    def __init__(self, path: Path, output: str) -> None:
        super().__init__()
        graph = onnx.load(str(path)).graph
        self._input, self._output = graph.input[0].name, output
        self._values = {i.name: _tensor(i) for i in graph.initializer}
        self._steps = [self._step(node) for node in _needed(graph, output)]

    def forward(self, images: Tensor) -> Tensor:
        """The output for a batch."""
        values: dict[str, Any] = {**self._values, self._input: images}
        for run, inputs, name in self._steps:
            values[name] = run(*(values[one] for one in inputs))
        found: Tensor = values[self._output]
        return found

    def _step(self, node: Any) -> tuple[Callable[..., Any], list[str], str]:
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "LSTM":
            return self._lstm(node, settings), [node.input[0]], node.output[0]
        if node.op_type not in _OPERATORS:
            raise NotHere(f"the graph has {node.op_type}, which is not translated to PyTorch")
        inputs = [name for name in node.input if name]
        return _OPERATORS[node.op_type](settings), inputs, node.output[0]

    def _lstm(self, node: Any, settings: dict[str, Any]) -> Callable[[Tensor], Tensor]:
        """PyTorch's own LSTM; ONNX has the gates in the order input, output, forget, cell."""
        weights, recurrent, bias = (self._values[name] for name in node.input[1:4])
        directions, units = len(weights), int(settings["hidden_size"])
        lstm = nn.LSTM(weights.shape[2], units, bidirectional=directions == 2)

        def gates(values: Tensor) -> Tensor:
            i, o, f, c = values.chunk(4)
            return torch.cat([i, f, c, o])

        for k in range(directions):
            suffix = "l0" + "_reverse" * k
            state = {
                f"weight_ih_{suffix}": gates(weights[k]),
                f"weight_hh_{suffix}": gates(recurrent[k]),
                f"bias_ih_{suffix}": gates(bias[k, : 4 * units]),
                f"bias_hh_{suffix}": gates(bias[k, 4 * units :]),
            }
            lstm.load_state_dict({**lstm.state_dict(), **state})
        self.add_module(f"lstm{len(self._modules)}", lstm)

        def run(steps: Tensor) -> Tensor:
            found, _ = lstm(steps)  # (steps, items, directions × units)
            return found.unflatten(2, (directions, units)).transpose(1, 2)

        return run


def _tensor(initializer: Any) -> Tensor:
    return torch.from_numpy(np.array(numpy_helper.to_array(initializer)))


def _needed(graph: Any, output: str) -> list[Any]:
    """The nodes an output needs, in order; an LSTM begins with zeros, whatever makes them."""
    wanted, found = {output}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            found.append(node)
            wanted |= set(node.input[:4] if node.op_type == "LSTM" else node.input)
    return found[::-1]


def _constant(settings: dict[str, Any]) -> Callable[[], Tensor]:
    value = _tensor(settings["value"])
    return lambda: value


def _convolution(settings: dict[str, Any]) -> Callable[..., Tensor]:
    rows, columns = settings.get("pads", [0, 0, 0, 0])[:2]
    more = {name: settings[key] for name, key in _CONVOLUTION.items() if key in settings}
    return lambda x, w, b=None: F.conv2d(x, w, b, padding=(rows, columns), **more)


_CONVOLUTION = {"stride": "strides", "dilation": "dilations", "groups": "group"}


def _pool(kind: Callable[..., Tensor]) -> Callable[[dict[str, Any]], Callable[[Tensor], Tensor]]:
    return lambda settings: lambda x: kind(x, settings["kernel_shape"], settings.get("strides"))


def _gemm(settings: dict[str, Any]) -> Callable[..., Tensor]:
    turned = settings.get("transB", 0)
    return lambda x, w, b: F.linear(x, w if turned else w.T, b)


def _maximum(settings: dict[str, Any]) -> Callable[..., Tensor]:
    keep = bool(settings.get("keepdims", 1))
    return lambda x, axes=None: x.amax(
        dim=settings["axes"] if axes is None else axes.tolist(), keepdim=keep
    )


def _reshape(_: dict[str, Any]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, shape: x.reshape(
        [x.shape[k] if size == 0 else size for k, size in enumerate(shape.tolist())]
    )


_OPERATORS: dict[str, Callable[[dict[str, Any]], Callable[..., Any]]] = {
    "Add": lambda _: torch.add,
    "AveragePool": _pool(F.avg_pool2d),
    "Cast": lambda _: lambda x: x.float(),
    "Concat": lambda s: lambda *parts: torch.cat(parts, dim=s["axis"]),
    "Constant": _constant,
    "Conv": _convolution,
    "Div": lambda _: torch.div,
    "Flatten": lambda s: lambda x: x.flatten(s.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _: lambda x: x.mean(dim=(2, 3), keepdim=True),
    "GlobalMaxPool": lambda _: lambda x: x.amax(dim=(2, 3), keepdim=True),
    "MaxPool": _pool(F.max_pool2d),
    "Mul": lambda _: torch.mul,
    "ReduceMax": _maximum,
    "Relu": lambda _: F.relu,
    "Reshape": _reshape,
    "SpaceToDepth": lambda s: lambda x: _unshuffled(x, s["blocksize"]),
    "Squeeze": lambda _: lambda x, axes: x.squeeze(axes.tolist()),
    "Sub": lambda _: torch.sub,
    "Transpose": lambda s: lambda x: x.permute(s["perm"]),
    "Unsqueeze": lambda _: lambda x, axes: x.unsqueeze(*axes.tolist()),
}


def _unshuffled(x: Tensor, block: int) -> Tensor:
    """ONNX's SpaceToDepth: the place within a block comes before the channel."""
    n, channels, rows, columns = x.shape
    cut = x.reshape(n, channels, rows // block, block, columns // block, block)
    return cut.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, rows // block, columns // block)
