"""PyTorch running the very network of a bundle, with the bundle's weights.

Those of its ONNX files, in which normalisation is folded into the convolutions: the faster form.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers import Options, Prepared
from benchmarks.peers.torch_running import prepared

if TYPE_CHECKING:
    from torch import Tensor

    from groundglass.train.networks import SequenceHead, SliceEncoder

#: Dense layers of the head, by the names of their weights.
_DENSE = ("dense.weight", "dense.bias", "out.weight", "out.bias")


def prepare(options: Options) -> Prepared:
    """Options: `encoder`, an ONNX file of the bundle; the others as `prepared` has them."""
    encoder, head = networks(Path(options["encoder"]).parent)
    return prepared(lambda images: head(encoder.encode(images / 255)[None]), options)


def networks(folder: Path) -> tuple[SliceEncoder, SequenceHead]:
    """Encoder and head of a bundle that training made, in evaluation mode."""
    import onnx  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from groundglass.train.networks import SequenceHead, SliceEncoder  # noqa: PLC0415

    def weights(file: str) -> tuple[Any, dict[str, Tensor]]:
        graph = onnx.load(str(folder / file)).graph
        read = onnx.numpy_helper.to_array
        return graph, {one.name: torch.tensor(read(one)) for one in graph.initializer}

    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    sizes, classes = manifest["training"]["settings"]["network"], len(manifest["labels"])
    encoder = SliceEncoder(
        tuple(sizes["encoder_widths"]),
        classes,
        fold=sizes["encoder_fold"],
        pools=tuple(sizes["encoder_pools"]),
        convolutions=sizes["encoder_convolutions"],
    )
    graph, found = weights("encoder.onnx")
    order = [name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]]
    encoder.layers.load_state_dict(
        dict(zip(encoder.layers.state_dict(), (found[name] for name in order), strict=True))
    )
    head = SequenceHead(
        encoder.features,
        manifest["recipe"]["group_size"],
        classes,
        units=sizes["sequence_units"],
        width=sizes["sequence_width"],
    )
    _, found = weights("head.onnx")
    state = {f"lstm.{name}": value for name, value in _lstm(found).items()}
    head.load_state_dict({**state, **{name: found[name] for name in _DENSE}})
    return encoder.eval(), head.eval()


def _lstm(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """PyTorch's order of the gates is input, forget, cell, output; ONNX's i, o, f, c."""
    import torch  # noqa: PLC0415

    def gates(values: Tensor) -> Tensor:
        i, o, f, c = values.chunk(4)
        return torch.cat([i, f, c, o])

    state = {}
    for direction, suffix in enumerate(("l0", "l0_reverse")):
        of_input, of_state = found["lstm.b"][direction].chunk(2)
        state[f"weight_ih_{suffix}"] = gates(found["lstm.w"][direction])
        state[f"weight_hh_{suffix}"] = gates(found["lstm.r"][direction])
        state[f"bias_ih_{suffix}"], state[f"bias_hh_{suffix}"] = gates(of_input), gates(of_state)
    return state
