"""PyTorch on an NVIDIA GPU, running the network as it was published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import NotHere, Options, Prepared


def prepare(options: Options) -> Prepared:
    """Options: `images`, an .npy file of (50, size, size) uint8."""
    import torch  # noqa: PLC0415

    from groundglass.train.networks import SequenceHead, SliceEncoder  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise NotHere("no GPU that this PyTorch could use")
    encoder, head = SliceEncoder().eval().cuda(), SequenceHead().eval().cuda()
    images = torch.from_numpy(np.load(Path(options["images"])))[:, None]

    def work() -> Any:
        with torch.inference_mode():
            return head(encoder.encode(images.cuda().float() / 255.0)[None]).cpu()

    work()
    return Prepared(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}", work)
