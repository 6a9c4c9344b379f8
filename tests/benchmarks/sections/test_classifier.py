"""Rows of the classifier: the same network, and a peer that is not there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.published import published_bundle, published_networks
from benchmarks.rows import Bench
from benchmarks.samples import Target
from benchmarks.sections.classifier import Beside, Ours, _row, same_network

from groundglass.infer import load_bundle
from groundglass.prepare import group_slices


def test_another_network_does_not_pass_for_ours() -> None:
    assert same_network([1.0, 2.0], [1.0, 2.001]).startswith("the same network")
    assert same_network([1.0, 2.0], [1.0, 3.0]).startswith("**not")


def test_a_peer_that_is_not_there_is_a_row_with_the_reason(tmp_path: Path) -> None:
    bench = Bench("demonstration", "/nowhere/python", tmp_path, tmp_path, pairs=1)
    beside = Beside("a group", "torch_gpu", {}, Target(20, at_least=True, of="ratio"), note="known")
    row = _row(bench, beside, Ours(lambda: 1.0, [0.0]))
    assert row.ours is None
    assert row.met is None
    assert row.note.startswith("not measured: /nowhere/python: No such file")
    assert row.note.endswith("; known")


def test_without_pytorch_the_published_network_is_a_row_with_the_reason(tmp_path: Path) -> None:
    bench = Bench("demonstration", sys.executable, tmp_path, tmp_path, pairs=1)
    row = _row(bench, Beside("a group", "torch_published", {}), None)
    assert row.ours is None
    assert "PyTorch" in row.note


def test_the_published_network_has_the_same_weights_for_us_and_for_the_peer(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    bundle = load_bundle(published_bundle(load_bundle("demonstration"), tmp_path / "published"))
    (group,) = group_slices(range(50), 50)
    images = np.random.default_rng(0).integers(0, 256, (50, 256, 256), dtype=np.uint8)
    ours = Ours.of(bundle, group, images)
    encoder, head = published_networks()
    with torch.inference_mode():
        floats = torch.from_numpy(images)[:, None].float() / 255
        theirs = head(encoder.encode(floats)[None])[0].tolist()
    assert ours.logits == pytest.approx(theirs, abs=1e-5)  # in f32, whatever is timed
    assert encoder.widths == (16, 32, 64, 128)
