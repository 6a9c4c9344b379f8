"""A processor that multiplies bf16, made of one that does not: `make test PROCESSOR=bf16`.

Python imports a `sitecustomize` it finds on PYTHONPATH as it starts, so this reaches every process
of the tests. OpenVINO then says that the processor has bf16, and what asks for bf16, or for no
format at all, is computed as AMX and AVX512-BF16 do: what goes into a product and what comes out
of it has 8 bits, sums have 24.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: Operators that multiply, and which of their inputs take part.
_PRODUCTS = {
    "Convolution": (0, 1),
    "ConvolutionBackpropData": (0, 1),
    "MatMul": (0, 1),
    "LSTMSequence": (0, 4, 5),
}
#: Of an LSTM the engine keeps the state as it is.
_ROUNDED_AFTER = ("Convolution", "ConvolutionBackpropData", "MatMul")
#: Times this and less the rest of it, a number of 24 bits keeps its upper 8 (Dekker, 1971).
_SPLIT = 2.0**16 + 1


class _Finder(importlib.abc.MetaPathFinder):
    """Changes OpenVINO when it is imported, and nothing before."""

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        if name != "openvino":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_changed(module: ModuleType) -> None:
            load(module)
            _change(module)

        spec.loader.exec_module = load_changed  # type: ignore[method-assign]
        return spec


def _change(ov: Any) -> None:
    compiling, asking = ov.Core.compile_model, ov.Core.get_property

    def compile_model(core: Any, model: Any, device: Any = None, config: Any = None) -> Any:
        stated = (config or {}).get("INFERENCE_PRECISION_HINT", "bf16")
        if stated == "bf16":
            read = model if isinstance(model, ov.Model) else core.read_model(model)
            model = _rounded(ov, read.clone())
        return compiling(core, model, device, config)

    def get_property(core: Any, *asked: Any) -> Any:
        found = asking(core, *asked)
        return [*found, "BF16"] if asked[-1] == "OPTIMIZATION_CAPABILITIES" else found

    ov.Core.compile_model, ov.Core.get_property = compile_model, get_property


def _rounded(ov: Any, model: Any) -> Any:
    """The model with a rounding before and after each of its products."""
    products = [op for op in model.get_ordered_ops() if op.get_type_name() in _PRODUCTS]
    for op in products:
        for position in _PRODUCTS[op.get_type_name()]:
            op.input(position).replace_source_output(_narrow(ov, op.input_value(position)))
    for op in products:
        if op.get_type_name() in _ROUNDED_AFTER:
            readers = op.output(0).get_target_inputs()
            narrow = _narrow(ov, op.output(0))
            for reader in readers:
                reader.replace_source_output(narrow)
    model.validate_nodes_and_infer_types()
    return model


def _narrow(ov: Any, source: Any) -> Any:
    """A value of 24 bits rounded to its upper 8."""
    from numpy import float32  # noqa: PLC0415  (not before a program asks for OpenVINO)

    split = ov.opset13.multiply(source, ov.opset13.constant(float32(_SPLIT)))
    return ov.opset13.subtract(split, ov.opset13.subtract(split, source)).output(0)


sys.meta_path.insert(0, _Finder())
