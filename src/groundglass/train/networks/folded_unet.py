"""An exported lung U-Net back in the network it came from, to be trained further.

Export folds the batch normalisation into the convolutions before it, and sums the 3×3 taps over an
enlarged map into a 4×4 transposed convolution (`LeanUNet`). The sums determine the taps again; the
normalisation's statistics are gone, and it is left doing nothing but a scale and an offset that can
be learnt. Sums that no taps explain, because a training went on in the export's form, stay as they
are (`FreeEnlarging`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import onnx
import torch
from torch import Tensor, nn

from groundglass.errors import BundleError
from groundglass.train.networks.free_enlarging import FreeEnlarging
from groundglass.train.networks.lean_unet import MEETING
from groundglass.train.networks.unet import LungUNet

#: Largest part of the summed weights that no taps explain: rounding.
_UNEXPLAINED = 1e-4


@torch.no_grad()
def load_folded(net: LungUNet, path: Path) -> None:
    """Weights of an exported U-Net of the same sizes into a network, changed in place.

    Raises
    ------
    BundleError
        The file is no export of such a network.
    """
    try:
        weights = _weights(path)
        for block in net.down:
            _put_pair(block, 0, *next(weights))
            _put_pair(block, 3, *next(weights))
        for block in net.up:
            beside, bias = next(weights)
            summed, _ = next(weights)
            _put_join(cast(nn.Sequential, block), summed, beside, bias)
            _put_pair(block, 3, *next(weights))
        _put(net.out, *next(weights))
        _put_pair(net.edge, 0, *next(weights))
        _put(cast(nn.Conv2d, net.edge[3]), *next(weights))
    except (OSError, StopIteration, RuntimeError, KeyError) as error:
        raise BundleError(
            f"a segmenter that is no export of this network ({type(error).__name__})",
            expected="segmenter.onnx of a bundle whose U-Net has the sizes in [network]",
            action="Give its `segmenter_widths` and `segmenter_fold`, or another bundle.",
        ) from error


def _weights(path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Weights and bias of each convolution, in the graph's order; no bias is an empty one."""
    graph = onnx.load(str(path)).graph
    values = {
        one.name: torch.from_numpy(onnx.numpy_helper.to_array(one).copy())
        for one in graph.initializer
    }
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            weight, *bias = (values[name] for name in node.input[1:])
            yield weight, bias[0] if bias else torch.empty(0)


def _put_join(block: nn.Sequential, summed: Tensor, beside: Tensor, bias: Tensor) -> None:
    """A folded enlarging step into a block's first convolution and normalisation."""
    taps = _taps(summed)
    if taps is not None:
        _put_pair(block, 0, torch.cat([taps, beside], dim=1), bias)
        return
    conv, norm = cast(nn.Conv2d, block[0]), cast(nn.BatchNorm2d, block[1])
    sizes = torch.empty(len(beside), len(summed) + len(beside), *beside.shape[2:])
    _of_size(sizes, conv.weight)
    block[0] = FreeEnlarging(summed, beside)
    _make_idle(norm, bias)


def _taps(summed: Tensor) -> Tensor | None:
    """3×3 weights (out, in, 3, 3) whose sums are a transposed convolution's (in, out, 4, 4)."""
    back = torch.linalg.pinv(MEETING.double())
    taps = torch.einsum("ak,bl,iokl->oiab", back, back, summed.double())
    again = torch.einsum("ka,lb,oiab->iokl", MEETING.double(), MEETING.double(), taps)
    explained = (again - summed).norm() <= _UNEXPLAINED * summed.norm()
    return taps.float() if explained else None


def _put_pair(block: nn.Module, first: int, weight: Tensor, bias: Tensor) -> None:
    """A folded convolution into a convolution and the normalisation after it, made idle."""
    parts = list(block.children())
    conv, norm = cast(nn.Conv2d, parts[first]), cast(nn.BatchNorm2d, parts[first + 1])
    conv.weight.copy_(_of_size(weight, conv.weight))
    _make_idle(norm, bias)


def _make_idle(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    norm.reset_running_stats()
    norm.weight.fill_((1.0 + norm.eps) ** 0.5)
    norm.bias.copy_(_of_size(bias, norm.bias))


def _put(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    conv.weight.copy_(_of_size(weight, conv.weight))
    cast(Tensor, conv.bias).copy_(_of_size(bias, cast(Tensor, conv.bias)))


def _of_size(found: Tensor, wanted: Tensor) -> Tensor:
    if found.shape != wanted.shape:
        raise RuntimeError("weights of another size")
    return found
