"""ONNX Runtime on the CPU, running the very network of a bundle."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import NotHere, Options, Prepared


def prepare(options: Options) -> Prepared:
    """Options: `images`, an .npy file; `encoder`, `head`; `provider`, CPU unless given."""
    import onnxruntime  # noqa: PLC0415

    provider = options.get("provider", "CPUExecutionProvider")
    if provider not in onnxruntime.get_available_providers():
        raise NotHere(f"this ONNX Runtime has no {provider}")
    images = np.load(options["images"])[:, None]
    encoder, head = (
        onnxruntime.InferenceSession(options[name], providers=[provider])
        for name in ("encoder", "head")
    )

    def work() -> Any:
        (features,) = encoder.run(["features"], {encoder.get_inputs()[0].name: images})
        return head.run(None, {head.get_inputs()[0].name: features[None]})[0][0]

    answer = [float(value) for value in work()]
    return Prepared(f"ONNX Runtime {onnxruntime.__version__}", work, answer)
