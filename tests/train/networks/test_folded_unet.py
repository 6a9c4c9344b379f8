"""An exported U-Net goes back into the network it came from, and can be trained and exported."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.errors import BundleError
from groundglass.infer import CpuEngine, Precision, Segmenter
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
    images = ramp_images(2, SIZE)
    found = Segmenter(tmp_path / "further.onnx", CpuEngine(Precision.F32))(images) / 255.0
    with torch.no_grad():
        expected = torch.sigmoid(again(to_tensor(images)))[:, 0].numpy()
    assert abs(found - expected).max() < 0.5 / 255 + 1e-4


def test_another_network_is_refused(exported, tmp_path: Path):
    _, path = exported
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet((8, 12, 20), FOLD), path)
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet((8, 12, 16, 20), FOLD), path)
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet(WIDTHS, FOLD), tmp_path / "gone.onnx")


def test_weights_that_no_network_of_ours_has_are_refused(exported):
    onnx = pytest.importorskip("onnx")
    _, path = exported
    model = onnx.load(str(path))
    node = next(one for one in model.graph.node if one.op_type == "ConvTranspose")
    values = next(one for one in model.graph.initializer if one.name == node.input[1])
    free = onnx.numpy_helper.to_array(values).copy()
    free[:, :, 0, 0] += 1
    values.CopyFrom(onnx.numpy_helper.from_array(free, values.name))
    onnx.save(model, str(path))
    with pytest.raises(BundleError, match="no export of this network"):
        load_folded(LungUNet(WIDTHS, FOLD), path)
