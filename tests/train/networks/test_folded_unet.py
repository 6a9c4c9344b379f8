"""An exported U-Net goes back into the network it came from, and can be trained and exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.errors import BundleError
from groundglass.infer import CpuEngine, Precision, Segmenter, load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.infer.self_test import ramp_images
from groundglass.train.data.tensors import to_tensor
from groundglass.train.export.onnx_files import export_segmenter
from groundglass.train.networks import LungUNet, load_folded

WIDTHS, FOLD, SIZE = (8, 12, 16), 4, 64


@pytest.fixture
def exported(tmp_path: Path):
    """A network whose normalisation has seen something, and its export."""
    torch.manual_seed(3)
    net = LungUNet(WIDTHS, FOLD)
    for _ in range(3):
        net(torch.rand(4, 1, SIZE, SIZE))
    net.eval()
    export_segmenter(net, SIZE, tmp_path / "segmenter.onnx")
    return net, tmp_path / "segmenter.onnx"


def test_the_answers_are_those_of_the_network_that_was_exported(exported):
    net, path = exported
    again = LungUNet(WIDTHS, FOLD)
    load_folded(again, path)
    image = torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        assert torch.allclose(again.eval()(image), net(image), atol=1e-4)


def test_it_is_exported_as_trained_further(exported, tmp_path: Path):
    _, path = exported
    again = LungUNet(WIDTHS, FOLD)
    load_folded(again, path)
    with torch.no_grad():
        again.up[0][1].bias += 0.5
    again.eval()
    export_segmenter(again, SIZE, tmp_path / "further.onnx")
    found = probabilities(tmp_path / "further.onnx")
    assert abs(found - of_torch(again)).max() < 0.5 / 255 + 1e-4


def test_another_network_is_refused(exported, tmp_path: Path):
    _, path = exported
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet((8, 12, 20), FOLD), path)
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet((8, 12, 16, 20), FOLD), path)
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet(WIDTHS, FOLD), tmp_path / "gone.onnx")


def freed(path: Path) -> None:
    """What a training in the export's own form leaves: weights that are no sums of taps."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(path))
    rng = np.random.default_rng(2)
    for node in model.graph.node:
        if node.op_type == "ConvTranspose":
            values = next(one for one in model.graph.initializer if one.name == node.input[1])
            free = onnx.numpy_helper.to_array(values)
            moved = (free + rng.normal(0, 1, free.shape)).astype(np.float32)
            values.CopyFrom(onnx.numpy_helper.from_array(moved, values.name))
    onnx.save(model, str(path))


def probabilities(path: Path) -> np.ndarray:
    return Segmenter(path, CpuEngine(Precision.F32))(ramp_images(2, SIZE)) / 255.0


def of_torch(net: LungUNet) -> np.ndarray:
    with torch.no_grad():
        return torch.sigmoid(net.eval()(to_tensor(ramp_images(2, SIZE))))[:, 0].numpy()


def test_an_enlarging_that_no_taps_explain_stays_as_it_is_and_can_be_trained(
    exported, tmp_path: Path
):
    _, path = exported
    before = probabilities(path)
    freed(path)
    assert abs(probabilities(path) - before).max() > 0.05
    again = LungUNet(WIDTHS, FOLD)
    load_folded(again, path)
    assert abs(of_torch(again) - probabilities(path)).max() < 0.5 / 255 + 1e-4
    again.train()(torch.rand(2, 1, SIZE, SIZE)).mean().backward()
    assert all(one.grad is not None and one.grad.any() for one in again.up[0][0].parameters())
    with torch.no_grad():
        again.up[0][1].weight *= 1.3
    export_segmenter(again, SIZE, tmp_path / "further.onnx")
    found = probabilities(tmp_path / "further.onnx")
    assert abs(found - of_torch(again)).max() < 0.5 / 255 + 1e-4


def test_a_free_enlarging_of_another_size_is_refused(exported):
    _, path = exported
    freed(path)
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet((8, 16, 16), FOLD), path)


@pytest.mark.parametrize("name", ["demonstration", "paper"])
def test_what_ships_can_be_trained_further(name: str):
    path = load_bundle(name).path(SEGMENTER)
    net = LungUNet((32, 48, 64, 96), 4)
    load_folded(net, path)
    images = ramp_images(2, 256)
    with torch.no_grad():
        found = torch.sigmoid(net.eval()(to_tensor(images)))[:, 0].numpy()
    expected = Segmenter(path, CpuEngine(Precision.F32))(images) / 255.0
    assert abs(found - expected).max() < 0.5 / 255 + 1e-4
