"""f32 against bf16: the largest difference of a probability over phantom patients.

Where the processor has no bf16 the multiplication is emulated: weights and inputs of every
convolution and matrix product are rounded to bf16 and summed in f32, which is what AMX and
AVX512-BF16 compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample
from groundglass.analyse.triage import Triage
from groundglass.infer import Bundle, CpuEngine, Engine, Network, Precision, load_bundle
from groundglass.phantom import LABELS, PhantomSettings, make_phantom

#: Operators whose inputs are multiplied, and how many of their inputs take part.
_MULTIPLY = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "MatMul": 2, "LSTM": 3}


class EmulatedBf16Engine:
    """Runs a bundle with every product rounded to bf16, on any processor."""

    def __init__(self) -> None:
        self.precision = Precision.BF16
        self.versions = {"emulated by onnxruntime": onnxruntime.__version__}

    def compile(self, path: Path, batch: int, outputs: Sequence[str] = ()) -> Network:  # noqa: ARG002
        """A network with rounding put before every product; it takes any batch."""
        return _Session(_rounded(onnx.load(str(path))), outputs)

    def outputs(self, path: Path) -> tuple[str, ...]:
        """As the real engine gives them."""
        return CpuEngine(Precision.F32).outputs(path)

    def constants(self, path: Path) -> dict[str, NDArray[np.float32]]:
        """As the real engine gives them."""
        return CpuEngine(Precision.F32).constants(path)


class _Session:
    def __init__(self, model: onnx.ModelProto, outputs: Sequence[str]) -> None:
        self._outputs = list(outputs) or None
        options = onnxruntime.SessionOptions()
        # Optimisation would remove the pair of casts that does the rounding.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return tuple(self._session.run(self._outputs, {self._session.get_inputs()[0].name: inputs}))


def _rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    nodes = []
    for number, node in enumerate(model.graph.node):
        for position in range(_MULTIPLY.get(node.op_type, 0)):
            name = f"{node.input[position]}.bf16.{number}.{position}"
            narrow = helper.make_node(
                "Cast", [node.input[position]], [f"{name}.n"], to=TensorProto.BFLOAT16
            )
            wide = helper.make_node("Cast", [f"{name}.n"], [name], to=TensorProto.FLOAT)
            nodes += [narrow, wide]
            node.input[position] = name
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def bf16_engine() -> Engine:
    """The processor's own bf16, or its emulation."""
    native = CpuEngine(Precision.BF16)
    return native if native.precision is Precision.BF16 else EmulatedBf16Engine()


def largest_difference(bundle: Bundle, patients: int) -> dict[str, Any]:
    """Run phantoms in both formats.

    Returns
    -------
    dict
        Largest and mean difference of a patient-level probability, how many verdicts changed, the
        share of lung voxels that changed, and how bf16 was computed.
    """
    exact = Triage(bundle, CpuEngine(Precision.F32))
    engine = bf16_engine()
    rounded = Triage(bundle, engine)
    differences, changed, voxels = [], 0, []
    for seed in range(patients):
        severity = float(np.random.default_rng(seed).uniform(0.1, 1.0))
        settings = PhantomSettings(
            label=LABELS[seed % 3],
            severity=severity,
            seed=90_000 + seed,
            matrix=256,
            slice_spacing_mm=5.0,
        )
        volume = make_phantom(settings).volume
        a, b = exact(volume), rounded(volume)
        if a.verdict is None or b.verdict is None:
            continue
        differences.append(
            max(abs(a.verdict.probabilities[k] - b.verdict.probabilities[k]) for k in LABELS)
        )
        changed += a.verdict.label != b.verdict.label
        voxels.append(float(np.mean(a.mask != b.mask) / max(np.mean(a.mask), 1e-9)))
    return {
        "patients": len(differences),
        "largest": max(differences),
        "mean": float(np.mean(differences)),
        "verdicts_changed": changed,
        "lung_voxels_changed": float(np.mean(voxels)),
        "bf16": ", ".join(" ".join(one) for one in engine.versions.items()),
    }


if __name__ == "__main__":
    from groundglass.infer import load_bundle

    print(largest_difference(load_bundle(), 50))


def section(bench: Bench) -> Section:
    """Differences of probabilities, verdicts and masks over made patients."""
    bench.tell(f"{bench.patients} made patients in both formats")
    found = largest_difference(load_bundle(bench.bundle), bench.patients)
    note = f"{found['patients']} made patients; {found['bf16']}"
    rows = {
        "largest difference of a patient's probability": ("largest", ""),
        "mean difference": ("mean", ""),
        "verdicts that changed": ("verdicts_changed", "patients"),
        "lung voxels that changed, share of the lung": ("lung_voxels_changed", ""),
    }
    made = [
        Row(what, Sample((float(found[key]),)), unit=unit) for what, (key, unit) in rows.items()
    ]
    made[0] = Row(made[0].what, made[0].ours, unit="", note=note)
    return Section(rows=made)
