"""From trained networks to a bundle: ONNX files and their manifest."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundglass.core.atomic_files import write_whole
from groundglass.infer.bundle import (
    ENCODER,
    FEATURES,
    HEAD,
    MANIFEST,
    SCHEMA,
    SEGMENTER,
    map_names,
    sha256_of,
)
from groundglass.infer.bundle_paths import ncnn_files
from groundglass.prepare import Recipe
from groundglass.train.export.ncnn_files import SHRINK, write_ncnn_files
from groundglass.train.networks import LeanUNet, LungUNet, SequenceHead, SliceEncoder

#: ONNX names of the head's weights that explaining reads, by operator and input position.
_LSTM_INPUTS = {1: "lstm.w", 2: "lstm.r", 3: "lstm.b"}
_OPSET = 17


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """Encoder and head in evaluation mode; the segmenter, unless it was taken from a bundle.

    Without a head for groups, slices are judged one by one: by the layer that trained the encoder.
    """

    encoder: SliceEncoder
    head: SequenceHead | None
    segmenter: LungUNet | None = None


class _SegmenterGraph(nn.Module):
    """8-bit image in, 8-bit lung probability out: the engine converts, not Python."""

    def __init__(self, net: LungUNet) -> None:
        super().__init__()
        self.net = LeanUNet(net)

    def forward(self, image: Tensor) -> Tensor:
        return (torch.sigmoid(self.net(image.float() / 255)) * 255 + 0.5).to(torch.uint8)


class _EncoderGraph(nn.Module):
    """8-bit image in; out come pooled features and each layer's activations, the finest first.

    Layers finer than a quarter of the image are averaged to that: heat maps are smoothed further
    than this, and writing what is thrown away would cost as much as the encoder.
    """

    def __init__(self, net: SliceEncoder) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.net.maps(image.float() / 255)
        # Where the next layer sees 2×2 maxima, their maximum is the same and has a quarter to read.
        halved = (level + 1 in self.net.pools for level in range(len(maps)))
        tops = [F.max_pool2d(m, 2) if half else m for m, half in zip(maps, halved, strict=True)]
        features = torch.cat([top.amax(dim=(2, 3)) for top in tops], dim=1)
        cells = image.shape[-1] // SHRINK
        return features, *(_shrunk(m, m.shape[-1] // cells) for m in maps)


class _SliceHeadGraph(nn.Module):
    """Pooled features of slices in, class logits out; the weights keep their names."""

    def __init__(self, net: SliceEncoder) -> None:
        super().__init__()
        self.classifier = net.classifier

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.classifier(features)
        return logits


def _shrunk(layer: Tensor, times: int) -> Tensor:
    return F.avg_pool2d(layer, times) if times > 1 else layer


def export_networks(networks: Networks, segmenter: Path, recipe: Recipe, folder: Path) -> None:
    """Write a bundle's files but for its manifest: ONNX of each network, the encoder for ncnn too.

    Of the U-Net its ONNX file, `segmenter`, is copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(segmenter, folder / SEGMENTER)
    export_encoder(networks.encoder, recipe.image_size, folder)
    if networks.head is None:
        export_slice_head(networks.encoder, folder / HEAD)
        return
    features = torch.zeros(1, recipe.group_size, networks.encoder.features)
    _export(networks.head, features, folder / HEAD, ["logits"])
    _name_head_weights(folder / HEAD)


def write_manifest(values: Mapping[str, Any], recipe: Recipe, folder: Path) -> None:
    """Write `bundle.json` for the files that lie in `folder`.

    `values` are what docs/reference/bundle.md lists, but for the form, the recipe and the hashes.
    """
    made = {
        "schema": SCHEMA,
        "recipe": recipe.to_dict(),
        "sha256": {name: sha256_of(folder / name) for name in (SEGMENTER, ENCODER, HEAD)},
        "ncnn_sha256": ncnn_hashes(folder),
    }
    write_json({**values, **made}, folder / MANIFEST)


def ncnn_hashes(folder: Path) -> dict[str, str]:
    """Hashes of what ncnn reads."""
    return {path.name: sha256_of(path) for path in ncnn_files(folder / ENCODER)}


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write a manifest, always with the same bytes for the same values."""
    write_whole(path, json.dumps(values, indent=2, sort_keys=True) + "\n")


def export_segmenter(net: LungUNet, size: int, path: Path) -> None:
    """Write the U-Net as ONNX for images of `size` rows and columns."""
    image = torch.zeros(2, 1, size, size, dtype=torch.uint8)
    _export(_SegmenterGraph(net), image, path, ["probability"])


def export_encoder(net: SliceEncoder, size: int, folder: Path) -> None:
    """Write the encoder as ONNX for images of `size` rows and columns, and the same for ncnn."""
    image = torch.zeros(2, 1, size, size, dtype=torch.uint8)
    outputs = [FEATURES, *map_names(len(net.layers))]
    _export(_EncoderGraph(net), image, folder / ENCODER, outputs)
    write_ncnn_files(net, folder)


def export_slice_head(net: SliceEncoder, path: Path) -> None:
    """Write the layer that judges a slice by its features as ONNX.

    `features`, (n, features), become `logits`, (n, classes); the initialisers are
    `classifier.weight`, (classes, features), and `classifier.bias`, (classes,).
    """
    _export(_SliceHeadGraph(net), torch.zeros(1, net.features), path, ["logits"], "features")


def _export(
    net: nn.Module, example: Tensor, path: Path, outputs: list[str], given: str = "input"
) -> None:
    with warnings.catch_warnings():
        # The TorchScript exporter keeps the LSTM as one ONNX operator, which explaining reads; the
        # newer one, which PyTorch recommends here, unrolls it.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(),
            (example,),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=[given],
            output_names=outputs,
            dynamic_axes={name: {0: "n"} for name in (given, *outputs)},
        )


def _name_head_weights(path: Path) -> None:
    """Give the LSTM's weights names that can be asked for; the exporter numbers them."""
    model = onnx.load(str(path))
    lstm = next(node for node in model.graph.node if node.op_type == "LSTM")
    names = {lstm.input[position]: name for position, name in _LSTM_INPUTS.items()}
    for initializer in model.graph.initializer:
        initializer.name = names.get(initializer.name, initializer.name)
    for position, name in _LSTM_INPUTS.items():
        lstm.input[position] = name
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
