"""Whether the exported networks answer as PyTorch does, in f32 and in bf16."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groundglass.errors import BundleError
from groundglass.infer import Bundle, Classifier, CpuEngine, Precision, Segmenter
from groundglass.infer.bundle import SEGMENTER
from groundglass.infer.self_test import ramp_images
from groundglass.prepare import gather, group_slices, whole_groups
from groundglass.train.classifier.features import encode
from groundglass.train.data.cache import Images, PreparedCase
from groundglass.train.data.tensors import to_tensor
from groundglass.train.export.onnx_files import Networks
from groundglass.train.networks import LungUNet

#: Largest difference of a probability between PyTorch and the exported networks in f32.
LARGEST_F32 = 1e-4
#: Groups compared: enough to see, few enough to wait for.
_GROUPS = 24


def check_parity(
    bundle: Bundle, networks: Networks, cases: Sequence[PreparedCase]
) -> dict[str, dict[str, Any]]:
    """Compare probabilities of the first groups of validation cases, before calibration.

    Where slices are judged by themselves, a group is one case's slices and so are the rows.

    Returns
    -------
    dict
        Per precision: how it was computed, groups, largest and mean difference, labels changed.

    Raises
    ------
    BundleError
        f32 differs by more than 1e-4.
    """
    grouping = group_slices if networks.head else whole_groups
    groups = [
        (group, gather(group, case.images()[list(group.slice_indices)]))
        for case in cases[:_GROUPS]
        for group in grouping(range(case.slices), bundle.recipe.group_size)
    ][:_GROUPS]
    images = [one for _, one in groups]
    expected = _torch_probabilities(networks, images)

    def by(engine: CpuEngine) -> NDArray[np.float64]:
        classifier = Classifier(bundle, engine)
        found = [classifier(group, one).prediction for group, one in groups]
        rows = [row for one in found for row in one.of_slices or (one.probabilities,)]
        return np.array([[row[label] for label in bundle.labels] for row in rows])

    f32 = CpuEngine(Precision.F32)
    found = {"f32": _differences(expected, by(f32), _engine(f32))}
    if networks.segmenter is not None:
        found["f32"]["largest_lung_difference"] = _lung_difference(bundle, networks.segmenter, f32)
    worst = max(found["f32"]["largest_difference"],
                found["f32"].get("largest_lung_difference", 0.0))  # fmt: skip
    if worst > LARGEST_F32:
        raise BundleError(
            f"exported networks whose probabilities differ by {worst:.2g} from PyTorch's",
            expected=f"at most {LARGEST_F32:g} in f32",
            action="Report it with the versions of torch, onnx and openvino.",
        )
    bf16 = CpuEngine(Precision.BF16)
    if bf16.precision is Precision.BF16:
        found["bf16"] = _differences(expected, by(bf16), _engine(bf16))
    else:
        emulated = _torch_probabilities(_rounding(networks), images)
        how = "emulated in PyTorch: this processor has no bf16"
        found["bf16"] = _differences(expected, emulated, how)
    return found


def _engine(engine: CpuEngine) -> str:
    return ", ".join(f"{name} {version}" for name, version in engine.versions.items())


def _torch_probabilities(networks: Networks, groups: Sequence[Images]) -> NDArray[np.float64]:
    features = [torch.from_numpy(encode(networks.encoder, one)) for one in groups]
    with torch.no_grad():
        if networks.head is None:
            logits = networks.encoder.classifier(torch.cat(features))
        else:
            logits = networks.head(torch.stack(features))
        return torch.softmax(logits.double(), dim=1).numpy()


def _differences(
    expected: NDArray[np.float64], found: NDArray[np.float64], how: str
) -> dict[str, Any]:
    difference = np.abs(found - expected)
    return {
        "computed_by": how,
        "groups": len(expected),
        "largest_difference": float(f"{difference.max():.3g}"),
        "mean_difference": float(f"{difference.mean():.3g}"),
        "labels_changed": int((found.argmax(axis=1) != expected.argmax(axis=1)).sum()),
    }


@torch.no_grad()
def _lung_difference(bundle: Bundle, net: LungUNet, engine: CpuEngine) -> float:
    """Largest difference of a lung probability beyond the rounding to 8 bits."""
    images = ramp_images(4, bundle.recipe.image_size)
    expected = torch.sigmoid(net(to_tensor(images)))[:, 0].numpy()
    found = Segmenter(bundle.path(SEGMENTER), engine)(images) / 255.0
    return float(f"{max(0.0, np.abs(found - expected).max() - 0.5 / 255):.3g}")


def _rounding(networks: Networks) -> Networks:
    """The classifier with weights and inputs of every product rounded to bf16, sums in f32.

    Inside the LSTM only its input and weights are rounded, not the state from step to step.
    """
    encoder, head = copy.deepcopy(networks.encoder), copy.deepcopy(networks.head)
    for net in (encoder, head) if head else (encoder,):
        for parameter in net.parameters():
            parameter.data = _rounded(parameter.data)
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.LSTM):
                module.register_forward_pre_hook(_round_inputs)
    return Networks(encoder, head)


def _round_inputs(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(map(_rounded, inputs))


def _rounded(values: Tensor) -> Tensor:
    return values.bfloat16().float()
