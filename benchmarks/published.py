"""The network as it was published, a 16-32-64-128 CNN and a biLSTM, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundglass.infer import Bundle
    from groundglass.train.networks import SequenceHead, SliceEncoder

_SEED = 2021


def published_networks() -> tuple[SliceEncoder, SequenceHead]:
    """Encoder and head, the same weights in every process."""
    import torch  # noqa: PLC0415  (the runtime has no torch)

    from groundglass.train.networks import SequenceHead, SliceEncoder  # noqa: PLC0415

    torch.manual_seed(_SEED)
    return SliceEncoder().eval(), SequenceHead().eval()


def published_bundle(like: Bundle, folder: Path) -> Path:
    """A bundle of them in `folder`, its recipe and U-Net another's: for timing, not for verdicts.

    Raises
    ------
    ImportError
        Without PyTorch, which writes it.
    """
    from groundglass.infer.bundle import SEGMENTER  # noqa: PLC0415  (a peer has no such engine)
    from groundglass.train.export import onnx_files  # noqa: PLC0415

    encoder, head = published_networks()
    networks = onnx_files.Networks(encoder, head)
    onnx_files.export_networks(networks, like.path(SEGMENTER), like.recipe, folder)
    manifest = {
        "name": "published",
        "version": "0",
        "labels": list(like.labels),
        "healthy": like.healthy,
        "statement": "Random weights, to time the published network. Its verdicts mean nothing.",
        "training": {},
    }
    onnx_files.write_manifest(manifest, like.recipe, folder)
    return folder
