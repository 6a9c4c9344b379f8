"""One group of images through PyTorch: eager in f32, or compiled in the format we run in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import Options, Prepared


def prepared(network: Callable[[Any], Any], options: Options) -> Prepared:
    """A network ready to judge one group.

    Parameters
    ----------
    network : callable
        From images, float (slices, 1, size, size) of 0 to 255, to logits (1, classes).
    options : dict
        `images`, an .npy file of (50, size, size) uint8; `compiled`, whether by torch.compile, and
        then `precision`, "f32" or "bf16".

    Returns
    -------
    Prepared
        Its answer is in f32 whatever it is timed in, so that it can be held against ours.
    """
    import torch  # noqa: PLC0415

    images = torch.from_numpy(np.load(Path(options["images"])))[:, None]
    compiled = bool(options.get("compiled"))
    narrow = compiled and options["precision"] == "bf16"
    runs = torch.compile(network) if compiled else network

    def work() -> Any:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            return runs(images.float())

    how = f"torch.compile, {'bf16' if narrow else 'f32'}" if compiled else "eager, f32"
    with torch.inference_mode():
        answer = [float(value) for value in network(images.float())[0]]
    work()  # compiles
    return Prepared(f"PyTorch {torch.__version__} {how}", work, answer)
