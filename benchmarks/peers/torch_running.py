"""One group of images through PyTorch: eager, or compiled, in bf16 where the processor has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine_flags import multiplies_bf16
from benchmarks.peers import Options, Prepared


def prepared(network: Callable[[Any], Any], options: Options) -> Prepared:
    """A network ready to judge one group.

    Parameters
    ----------
    network : callable
        From images, float (slices, 1, size, size) of 0 to 255, to logits (1, classes).
    options : dict
        `images`, an .npy file; `compiled`, whether by torch.compile.
    """
    import torch  # noqa: PLC0415

    images = torch.from_numpy(np.load(Path(options["images"])))[:, None]
    compiled = bool(options.get("compiled"))
    narrow = compiled and multiplies_bf16()
    runs = torch.compile(network) if compiled else network

    def work() -> Any:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            return runs(images.float())

    how = f"torch.compile, {'bf16' if narrow else 'f32'}" if compiled else "eager, f32"
    answer = [float(value) for value in work()[0]]
    return Prepared(f"PyTorch {torch.__version__} {how}", work, answer)
