"""What the exported files hold and what they leave out."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from groundglass.infer import CpuEngine, Precision
from groundglass.infer.bundle import ENCODER, FEATURES, SEGMENTER
from groundglass.train.export.onnx_files import export_encoder, export_segmenter
from groundglass.train.networks import LungUNet, SliceEncoder

SIZE = 64


def _operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 1, SIZE, SIZE), dtype=np.uint8)


def test_the_segmenter_answers_as_trained_and_enlarges_no_map(tmp_path: Path):
    torch.manual_seed(1)
    net = LungUNet((8, 8, 8, 8), 4).eval()
    export_segmenter(net, SIZE, tmp_path / SEGMENTER)
    images = _images(2)
    with torch.no_grad():
        expected = torch.sigmoid(net(torch.from_numpy(images).float() / 255)).numpy() * 255
    (found,) = CpuEngine(Precision.F32).compile(tmp_path / SEGMENTER, 2)(images)
    assert np.abs(found.astype(float) - expected).max() <= 0.51
    assert np.ptp(expected) > 1
    operators = _operators(tmp_path / SEGMENTER)
    assert "ConvTranspose" in operators
    assert not {"Resize", "BatchNormalization"} & set(operators)
    assert operators.count("Concat") == 1  # where the edge is found


@pytest.mark.parametrize(("fold", "pools"), [(1, (1, 2, 3)), (4, (1,)), (4, ())])
def test_the_encoders_features_are_the_maxima_of_its_layers(
    fold: int, pools: tuple[int, ...], tmp_path: Path
):
    torch.manual_seed(2)
    encoder = SliceEncoder((4, 6, 8, 10), 3, fold=fold, pools=pools).eval()
    export_encoder(encoder, SIZE, tmp_path)
    images = _images(3)
    with torch.no_grad():
        maps = encoder.maps(torch.from_numpy(images).float() / 255)
    engine = CpuEngine(Precision.F32)
    features, *layers = engine.compile(tmp_path / ENCODER, 3, (FEATURES, "maps1", "maps4"))(images)
    expected = np.concatenate([one.amax(dim=(2, 3)).numpy() for one in maps], axis=1)
    assert np.allclose(features, expected, atol=1e-5)
    assert layers[0].shape == (3, 4, SIZE // 4, SIZE // 4)
    assert layers[1].shape == (3, 10, maps[3].shape[2], maps[3].shape[3])
