"""What the exported files hold and what they leave out."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx.reference")

from groundglass.infer import CpuEngine, Precision
from groundglass.infer.bundle import ENCODER, FEATURES, HEAD, SEGMENTER
from groundglass.train.export.onnx_files import (
    export_encoder,
    export_segmenter,
    export_slice_head,
)
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


def test_the_slice_head_judges_the_encoders_features_as_trained(tmp_path: Path):
    torch.manual_seed(4)
    encoder = SliceEncoder((4, 6, 8, 10), 3, fold=4, pools=(1,), dropout=0.5).eval()
    export_encoder(encoder, SIZE, tmp_path)
    export_slice_head(encoder, tmp_path / HEAD)
    images = _images(5)
    (features,) = CpuEngine(Precision.F32).compile(tmp_path / ENCODER, 5, (FEATURES,))(images)
    head = onnx.load(str(tmp_path / HEAD)).graph
    kept = {one.name: onnx.numpy_helper.to_array(one) for one in head.initializer}
    assert kept["classifier.weight"].shape == (3, 28)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(images).float() / 255).numpy()
    by_hand = features @ kept["classifier.weight"].T + kept["classifier.bias"]
    found = onnx.reference.ReferenceEvaluator(str(tmp_path / HEAD)).run(
        None, {"features": features}
    )
    assert np.allclose(by_hand, expected, atol=1e-5)
    assert np.allclose(found[0], expected, atol=1e-5)
    assert [one.name for one in head.output] == ["logits"]
