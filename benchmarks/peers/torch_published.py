"""PyTorch running the network as it was published: a 16-32-64-128 CNN and a biLSTM."""

from __future__ import annotations

from benchmarks.peers import Options, Prepared
from benchmarks.peers.torch_running import prepared
from benchmarks.published import published_networks


def prepare(options: Options) -> Prepared:
    """Options: `images`, `compiled`, `precision` as `prepared` has them."""
    encoder, head = published_networks()
    return prepared(lambda images: head(encoder.encode(images / 255.0)[None]), options)
