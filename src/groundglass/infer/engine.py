"""What runs the networks: a small protocol, and OpenVINO and ncnn on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from groundglass.core.choices import Precision
from groundglass.infer.bundle_paths import ncnn_files
from groundglass.infer.winograd import WinogradNetwork

Array = NDArray[Any]


class Network(Protocol):
    """A compiled network: arrays in, arrays out, in the order asked for; from any thread."""

    def __call__(self, inputs: Array) -> tuple[Array, ...]:
        """Run on any number of items; outputs are copies the caller owns."""
        ...


class Engine(Protocol):
    """What makes networks of files. `precision` and `versions` go into the provenance."""

    precision: Precision
    versions: Mapping[str, str]

    def compile(self, path: Path, batch: int, outputs: Sequence[str] = ()) -> Network:
        """A network that takes `batch` items at a time; only the named outputs, if any are."""
        ...

    def outputs(self, path: Path) -> tuple[str, ...]:
        """Names of a network's outputs, in the file's order."""
        ...

    def constants(self, path: Path) -> dict[str, NDArray[np.float32]]:
        """The float weights stored in an ONNX file, by name."""
        ...


class CpuEngine:
    """Compiles the networks of a bundle for this machine.

    OpenVINO reads them and runs them. In f32, what has files for ncnn beside it is run by ncnn
    instead (`WinogradNetwork`; why is in docs/decisions/0012-winograd.md).

    Parameters
    ----------
    precision : Precision
        The number format asked for. It has no default: who means one format must not get another
        on another processor, and who takes what the processor offers says AUTO.
    """

    def __init__(self, precision: Precision) -> None:
        # OpenVINO reports its use over the network and leaves an identifier in the home folder.
        # From a hospital nothing goes out: None makes its import of the reporter fail, which it
        # takes as "do not report".
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino as ov  # noqa: PLC0415  (slow to import; only who computes pays)

        self._core = ov.Core()
        native_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        wants_bf16 = precision is not Precision.F32
        self.precision = Precision.BF16 if wants_bf16 and native_bf16 else Precision.F32
        self.versions: Mapping[str, str] = {
            "openvino": str(ov.__version__).split("-", maxsplit=1)[0],
            "ncnn": version("ncnn"),
        }

    def compile(self, path: Path, batch: int, outputs: Sequence[str] = ()) -> Network:
        """A network that takes so many items at a time.

        Parameters
        ----------
        path : Path
            ONNX file.
        batch : int
            Items computed together; a fixed shape lets the engine plan its memory once.
        outputs : sequence of str, optional
            Names of the outputs wanted, in this order; what only others need is not computed. All
            of them unless given.
        """
        model = self._core.read_model(str(path))
        if outputs:
            model = _only(model, outputs)
        shape = model.input(0).get_partial_shape()
        shape[0] = batch
        model.reshape(shape)
        if self.precision is Precision.F32 and ncnn_files(path)[0].exists():
            shapes = {one.get_any_name(): tuple(one.get_shape())[1:] for one in model.outputs}
            return WinogradNetwork(path, shapes)
        # f32 must be said too: where the processor has bf16, OpenVINO would take that by itself.
        compiled = self._core.compile_model(
            model,
            "CPU",
            {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.precision.value},
        )
        return _OpenVinoNetwork(compiled, batch)

    def outputs(self, path: Path) -> tuple[str, ...]:
        """Names of a network's outputs, in the file's order."""
        return tuple(one.get_any_name() for one in self._core.read_model(str(path)).outputs)

    def constants(self, path: Path) -> dict[str, NDArray[np.float32]]:
        """The float weights stored in an ONNX file, by name."""
        return {
            op.get_friendly_name(): np.array(op.get_data(), dtype=np.float32)
            for op in self._core.read_model(str(path)).get_ops()
            if op.get_type_name() == "Constant" and op.get_element_type().is_real()
        }


class _OpenVinoNetwork:
    def __init__(self, compiled: Any, batch: int) -> None:
        self._request = compiled.create_infer_request()
        # One request serves all threads in turn: it takes every core as it is.
        self._in_use = Lock()
        self._outputs = compiled.outputs
        self._batch = batch

    def __call__(self, inputs: Array) -> tuple[Array, ...]:
        """Run on any number of items, a batch at a time; outputs are copies the caller owns."""
        found = [
            np.empty((len(inputs), *one.shape[1:]), dtype=one.element_type.to_dtype())
            for one in self._outputs
        ]
        for start in range(0, len(inputs), self._batch):
            part = inputs[start : start + self._batch]
            with self._in_use:
                self._request.infer([self._filled(part)], share_inputs=True)
                for index, kept in enumerate(found):
                    tensor = self._request.get_output_tensor(index)
                    kept[start : start + len(part)] = tensor.data[: len(part)]
        return tuple(found)

    def _filled(self, inputs: Array) -> Array:
        """A batch, a short one filled up."""
        missing = self._batch - len(inputs)
        if missing:
            filler = np.zeros((missing, *inputs.shape[1:]), dtype=inputs.dtype)
            inputs = np.concatenate([inputs, filler])
        return np.ascontiguousarray(inputs)


def _only(model: Any, outputs: Sequence[str]) -> Any:
    """The part of a model that gives the named outputs."""
    import openvino as ov  # noqa: PLC0415

    nodes = {
        name: result.get_node().input_value(0)
        for result in model.outputs
        for name in result.get_names()
    }
    results = [ov.opset13.result(nodes[name]) for name in outputs]
    return ov.Model(results, model.get_parameters(), "part")
