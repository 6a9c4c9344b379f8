"""The encoder through ncnn gives what OpenVINO gives, which runs a bundle without such files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from groundglass.errors import BundleError
from groundglass.infer import CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import ENCODER, FEATURES, HEAD, MANIFEST, NCNN_FILES, SEGMENTER
from groundglass.infer.winograd import WinogradNetwork

_RNG = np.random.default_rng(5)


def _by_openvino(path: Path, images: Any) -> Any:
    """In f32, whatever else the processor offers; by name."""
    model = ov.Core().read_model(str(path))
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)


@pytest.fixture
def without_ncnn(bundle: Path, tmp_path: Path) -> Path:
    """The shipped bundle as bundles were exported before ncnn's files were among theirs."""
    folder = tmp_path / "old"
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns("*.ncnn.*"))
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    del manifest["ncnn_sha256"]
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    return folder


def test_images_need_not_lie_in_one_piece() -> None:
    network = CpuEngine(Precision.F32).compile(load_bundle().path(ENCODER), 2, (FEATURES,))
    wide = _RNG.integers(0, 256, (2, 1, 256, 512), dtype=np.uint8)[..., ::2]
    np.testing.assert_array_equal(network(wide)[0], network(wide.copy())[0])


def test_a_batch_is_as_its_images_one_by_one() -> None:
    engine = CpuEngine(Precision.F32)
    network = engine.compile(load_bundle().path(ENCODER), 4, (FEATURES,))
    images = _RNG.integers(0, 256, (7, 1, 256, 256), dtype=np.uint8)
    (together,) = network(images)
    alone = np.concatenate([network(image[None])[0] for image in images])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("file", [ENCODER, SEGMENTER])
def test_no_images_give_no_answers_of_the_same_form(file: str) -> None:
    network = CpuEngine(Precision.F32).compile(load_bundle().path(file), 2)
    some = network(np.zeros((1, 1, 256, 256), np.uint8))
    none = network(np.zeros((0, 1, 256, 256), np.uint8))
    assert [one.shape for one in none] == [(0, *one.shape[1:]) for one in some]


@pytest.mark.parametrize(("file", "kind"), [(ENCODER, True), (SEGMENTER, False), (HEAD, False)])
def test_of_the_shipped_networks_the_encoder_is_run_by_ncnn(file: str, kind: bool) -> None:
    network = CpuEngine(Precision.F32).compile(load_bundle().path(file), 2)
    assert isinstance(network, WinogradNetwork) == kind


def test_the_shipped_encoder_gives_what_openvino_gives() -> None:
    path: Path = load_bundle().path(ENCODER)
    engine = CpuEngine(Precision.F32)
    names = engine.outputs(path)
    images = np.sort(_RNG.integers(0, 256, (3, 1, 256, 256), dtype=np.uint8), axis=2)
    expected = _by_openvino(path, images)
    for name, found in zip(names, engine.compile(path, 3, names)(images), strict=True):
        one = expected[name]
        np.testing.assert_allclose(found, one, atol=1e-5 * np.abs(one).max(), err_msg=name)


def test_a_bundle_without_files_for_ncnn_is_run_by_openvino(without_ncnn: Path) -> None:
    path = load_bundle(without_ncnn).path(ENCODER)
    engine = CpuEngine(Precision.F32)
    network = engine.compile(path, 3)
    assert not isinstance(network, WinogradNetwork)
    images = _RNG.integers(0, 256, (3, 1, 256, 256), dtype=np.uint8)
    ours = engine.compile(load_bundle().path(ENCODER), 3)(images)
    for found, one in zip(network(images), ours, strict=True):
        np.testing.assert_allclose(found, one, atol=2e-5 * np.abs(one).max())


def test_files_for_ncnn_that_no_hash_vouches_for_are_refused(
    without_ncnn: Path, bundle: Path
) -> None:
    for file in NCNN_FILES:
        shutil.copyfile(bundle / file, without_ncnn / file)
        with pytest.raises(BundleError, match=file):
            load_bundle(without_ncnn)
        (without_ncnn / file).unlink()


@pytest.mark.parametrize("file", sorted(NCNN_FILES))
def test_altered_or_missing_files_for_ncnn_are_refused(
    bundle: Path, tmp_path: Path, file: str
) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(bundle, folder)
    content = bytearray((folder / file).read_bytes())
    content[-9] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(BundleError, match=f"{file} with SHA-256"):
        load_bundle(folder)
    (folder / file).unlink()
    with pytest.raises(BundleError, match=file):
        load_bundle(folder)
