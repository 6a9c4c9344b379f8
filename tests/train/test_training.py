"""Training runs with its real code, and what it exports computes what PyTorch computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")

from groundglass.infer import OpenVinoEngine, Precision, load_bundle
from groundglass.infer.bundle import ENCODER, HEAD, SEGMENTER
from groundglass.phantom import LABELS
from groundglass.prepare import Recipe
from groundglass.train.classifier import (
    ClassifierSettings,
    augment_group,
    encode_groups,
    train_encoder,
    train_head,
)
from groundglass.train.export import BundleFacts, Networks, export_bundle
from groundglass.train.log import log_to
from groundglass.train.networks import LungUNet, SequenceHead, SliceEncoder
from groundglass.train.phantom_cohort import PhantomCase, cohort_cases
from groundglass.train.phantom_slices import make_phantom_slices
from groundglass.train.prepared_cohort import PreparedCase, of_images
from groundglass.train.segmenter import LungSlices, SegmenterSettings, train_segmenter
from groundglass.train.tensors import to_tensor

SIZE = 64
RECIPE = Recipe(image_size=SIZE, group_size=10)


@pytest.fixture(scope="module")
def cases() -> list[PreparedCase]:
    """Six patients told apart by brightness, so that learning can be seen."""
    rng = np.random.default_rng(0)
    made = []
    for seed in range(6):
        label = LABELS[seed % 3]
        level = 60 + 70 * LABELS.index(label)
        images = rng.normal(level, 5, (12, SIZE, SIZE)).clip(1, 255).astype(np.uint8)
        made.append(of_images(PhantomCase(seed, label, "train"), images, RECIPE))
    return made


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Networks, Path]:
    torch.manual_seed(0)
    networks = Networks(
        LungUNet((4, 8, 8, 8, 8)).eval(),
        SliceEncoder((4, 8, 8, 8)).eval(),
        SequenceHead(28, RECIPE.group_size, units=4, width=8).eval(),
    )
    facts = BundleFacts("made", "0", LABELS, "healthy", "Made for a test.", {})
    folder = tmp_path_factory.mktemp("exported")
    export_bundle(networks, RECIPE, facts, folder)
    return networks, folder


def test_the_segmenter_trains_and_logs(tmp_path: Path) -> None:
    slices = make_phantom_slices(range(2), 3, SIZE)
    settings = SegmenterSettings(steps=2, batch=2)
    net = train_segmenter(LungSlices(slices, slices, slices), RECIPE, settings, tmp_path)
    assert not net.training
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 2
    assert (tmp_path / "unet.pt").exists()


def test_both_stages_learn_what_can_be_learnt(cases: list[PreparedCase], tmp_path: Path) -> None:
    settings = ClassifierSettings(
        encoder_epochs=8, head_epochs=40, slices_per_patient=8, encoder_rate=1e-2, head_rate=1e-2
    )
    log = log_to(tmp_path / "log.jsonl")
    encoder = train_encoder(cases, cases, LABELS, settings, log)
    features = encode_groups(encoder, cases, LABELS)
    head = train_head(
        features, features, SequenceHead(encoder.features, RECIPE.group_size), settings, log
    )
    with torch.no_grad():
        found = head(features[0]).argmax(1)
    assert torch.equal(found, features[1])


def test_every_change_keeps_shape_and_leaves_black_black() -> None:
    images = np.zeros((3, SIZE, SIZE), np.uint8)
    images[:, 20:40, 20:40] = 120
    for seed in range(40):
        changed = augment_group(images, np.random.default_rng(seed))
        assert (changed.shape, changed.dtype) == (images.shape, np.uint8)
        assert (changed[0] == changed[1]).mean() > 0.8  # alike but for noise
        assert changed[:, 0, 0].max() == 0


def test_splits_never_share_a_patient() -> None:
    cases = cohort_cases({"train": {"CP": 3, "NCP": 2}, "test": {"CP": 2}}, 100)
    assert len({case.seed for case in cases}) == len(cases) == 7


def test_exported_networks_compute_what_pytorch_computes(
    exported: tuple[Networks, Path],
) -> None:
    networks, folder = exported
    bundle = load_bundle(folder)
    engine = OpenVinoEngine(Precision.F32)
    images = np.random.default_rng(0).integers(0, 255, (2, SIZE, SIZE), dtype=np.uint8)
    with torch.no_grad():
        lung = torch.sigmoid(networks.segmenter(to_tensor(images))).numpy()
        features = networks.encoder.encode(to_tensor(images)).numpy()
        sequence = torch.rand(1, RECIPE.group_size, features.shape[1])
        expected = torch.softmax(networks.head(sequence), dim=1).numpy()
    (found_lung,) = engine.compile(bundle.path(SEGMENTER), 2)(images[:, None])
    found_features, *_, maps = engine.compile(bundle.path(ENCODER), 2)(images[:, None])
    (logits,) = engine.compile(bundle.path(HEAD), 1)(sequence.numpy())
    assert np.abs(found_lung / 255.0 - lung).max() < 0.51 / 255 + 1e-4
    np.testing.assert_allclose(found_features, features, atol=1e-4)
    np.testing.assert_allclose(maps.max(axis=(2, 3)), found_features[:, -8:], atol=1e-5)
    found = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(found, expected, atol=1e-4)
