"""PyTorch running the very network of a bundle, with the bundle's weights."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import Options, Prepared
from benchmarks.peers.torch_running import prepared


def prepare(options: Options) -> Prepared:
    """Options: `encoder`, `head`; `images`, `compiled`, `precision` as `prepared` has them."""
    from benchmarks.peers.onnx_in_torch import OnnxInTorch  # noqa: PLC0415

    encoder = OnnxInTorch(Path(options["encoder"]), "features").eval()
    head = OnnxInTorch(Path(options["head"]), "logits").eval()
    return prepared(lambda images: head(encoder(images)[None]), options)
