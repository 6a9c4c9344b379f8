"""What every test folder uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from groundglass.infer import load_bundle, shipped_bundles
from groundglass.infer.bundle import DEFAULT
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from groundglass.prepare import Recipe

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the repository; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}")
    return folder


@pytest.fixture(scope="session")
def phantom_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic study with COVID-19 pneumonia as DICOM files; read only."""
    settings = PhantomSettings(
        label="CP", severity=0.8, seed=4, matrix=160, slice_count=24, slice_spacing_mm=10.0
    )
    folder = tmp_path_factory.mktemp("phantom") / "study"
    write_dicom_series(make_phantom(settings), folder)
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle's folder: the shipped one, or an untrained one that takes any body for lung."""
    if DEFAULT in shipped_bundles():
        return load_bundle(DEFAULT).folder
    return _untrained(tmp_path_factory.mktemp("bundle"))


def _untrained(folder: Path) -> Path:
    torch = pytest.importorskip("torch", reason="no shipped bundle, and no torch to make one")
    pytest.importorskip("onnx", reason="no shipped bundle, and no onnx to make one")
    # Not at the top: torch is there only where networks are trained.
    from groundglass.train.export import BundleFacts, Networks, export_bundle  # noqa: PLC0415
    from groundglass.train.networks import LungUNet, SequenceHead, SliceEncoder  # noqa: PLC0415

    torch.manual_seed(1)
    segmenter = LungUNet((4, 4, 4, 4), 4)
    torch.nn.init.zeros_(segmenter.out.weight)
    torch.nn.init.constant_(segmenter.out.bias, 5.0)
    networks = Networks(segmenter, SliceEncoder(), SequenceHead())
    facts = BundleFacts(
        name="untrained",
        version="0",
        labels=("CP", "NCP", "healthy"),
        healthy="healthy",
        statement="Untrained: its verdict means nothing.",
        training={},
    )
    export_bundle(networks, Recipe(), facts, folder)
    return folder
