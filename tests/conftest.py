"""What every test folder uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.infer import load_bundle
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series

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
def bundle() -> Path:
    """The shipped bundle's folder."""
    return load_bundle(DEFAULT_BUNDLE).folder
