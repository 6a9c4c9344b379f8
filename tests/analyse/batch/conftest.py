"""A pile of studies: two good ones, one with a slice missing, one of another body."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from made_ct import ct_series, write


@pytest.fixture(scope="session")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only. Folders are named as exports like to name them."""
    folder = tmp_path_factory.mktemp("pile")
    for name, seed in (("DOE^JANE", 4), ("DOE^JOHN", 5), ("DOE^JIM", 6)):
        settings = PhantomSettings(
            label="CP", severity=0.8, seed=seed, matrix=128, slice_count=24, slice_spacing_mm=10.0
        )
        write_dicom_series(make_phantom(settings), folder / name)
    next(iter(sorted((folder / "DOE^JIM").iterdir())[12:])).unlink()
    write(
        ct_series(Modality="MR", StudyInstanceUID="1.2.3.4", PatientName="DOE^JACK"),
        folder / "DOE^JACK",
        stem="DOE^JACK",
    )
    return folder
