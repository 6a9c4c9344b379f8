"""The encoder's files for ncnn give what its ONNX file gives, whatever its sizes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("onnx", reason="needs groundglass[train]")

import openvino as ov

from groundglass.infer import CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import ENCODER, MANIFEST, NCNN_FILES
from groundglass.infer.winograd import WinogradNetwork
from groundglass.train.export.add_ncnn_files import main
from groundglass.train.export.onnx_files import export_encoder
from groundglass.train.networks import SliceEncoder

_SIZE = 64


def _normalised(net: SliceEncoder) -> SliceEncoder:
    """With statistics as a training leaves them."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return net


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"fold": 4, "pools": (1,), "norm": True},
        {"fold": 2, "pools": (2, 3)},
        {"fold": 3, "pools": (1,)},
        {"fold": 1, "pools": ()},
        {"fold": 2, "pools": (0, 2), "convolutions": 2, "norm": True},
        {"widths": (8,), "pools": ()},
        {"widths": (8, 16), "fold": 4, "pools": (1, 2)},
    ],
    ids=str,
)
def test_ncnn_gives_what_openvino_gives(sizes: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(3)
    size = 48 if sizes.get("fold") == 3 else _SIZE
    net = _normalised(SliceEncoder(**{"widths": (12, 24, 16, 8), **sizes}))
    export_encoder(net, size, tmp_path)
    path = tmp_path / ENCODER
    engine = CpuEngine(Precision.F32)
    names = engine.outputs(path)
    network = engine.compile(path, 2)
    assert isinstance(network, WinogradNetwork)
    images = np.random.default_rng(5).integers(0, 256, (2, 1, size, size), dtype=np.uint8)
    model = ov.Core().read_model(str(path))
    expected = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)
    for name, found in zip(names, network(images), strict=True):
        one = expected[name]
        assert found.shape == one.shape
        np.testing.assert_allclose(found, one, atol=2e-5 * np.abs(one).max(), err_msg=name)
        (alone,) = engine.compile(path, 2, (name,))(images)
        np.testing.assert_array_equal(alone, found)


def test_the_shipped_files_are_those_that_its_onnx_file_gives(bundle: Path, tmp_path: Path) -> None:
    """Export is deterministic; and a bundle without the files is given them."""
    folder = tmp_path / "old"
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns("*.ncnn.*"))
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    del manifest["ncnn_sha256"]
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert not load_bundle(folder).ncnn_sha256
    main([str(folder)])
    for file in (*NCNN_FILES, MANIFEST):
        assert (folder / file).read_bytes() == (bundle / file).read_bytes()
    assert load_bundle(folder).ncnn_sha256.keys() == NCNN_FILES
