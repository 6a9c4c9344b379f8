"""A phantom is reproducible, the same person whatever the label, and a valid DICOM series."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from groundglass.errors import SettingsError
from groundglass.phantom import (
    LABELS,
    PhantomSettings,
    make_patient,
    make_phantom,
    render_slices,
    training_slices,
    write_dicom_series,
)


def small(label: str = "CP", seed: int = 3, severity: float = 0.8) -> PhantomSettings:
    return PhantomSettings(label, severity, seed, matrix=128, slice_count=13)


def test_same_settings_give_the_same_voxels() -> None:
    first, second = make_phantom(small()), make_phantom(small())
    np.testing.assert_array_equal(first.volume.hu, second.volume.hu)
    np.testing.assert_array_equal(first.lung, second.lung)
    np.testing.assert_array_equal(first.lesion, second.lesion)


def test_another_seed_gives_another_person() -> None:
    assert make_phantom(small()).volume.geometry != make_phantom(small(seed=4)).volume.geometry


def test_a_slice_does_not_depend_on_its_neighbours() -> None:
    patient = make_patient(small())
    several = render_slices(patient, [60.0, 100.0, 140.0])
    alone = render_slices(patient, [100.0])
    np.testing.assert_array_equal(several.hu[1], alone.hu[0])


@pytest.mark.parametrize("seed", range(12))
def test_the_label_changes_nothing_but_the_disease(seed: int) -> None:
    """Person and scan are drawn without looking at the label: it cannot leak through them."""
    patients = [make_patient(PhantomSettings(label, 0.7, seed)) for label in LABELS]
    scans = {patient.scan for patient in patients}
    assert len(scans) == 1
    z = [0.5 * patients[0].person.lung_height_mm]
    healthy = render_slices(patients[2], z)
    for patient in patients[:2]:
        sick = render_slices(patient, z)
        changed = sick.hu != healthy.hu
        far = ~_grown(healthy.lung[0], 12)
        assert not changed[0][far].any()


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def test_lesions_lie_in_the_lung_and_healthy_has_none() -> None:
    for label in LABELS:
        phantom = make_phantom(small(label))
        assert not (phantom.lesion & ~phantom.lung).any()
        assert phantom.lesion.any() == (label != "healthy")


def test_training_slices_reach_beyond_the_lungs() -> None:
    slices = training_slices(PhantomSettings(seed=5, matrix=128), 24)
    with_lung = slices.lung.any(axis=(1, 2))
    assert 8 <= with_lung.sum() <= 23


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "covid"},
        {"severity": 1.5},
        {"seed": -1},
        {"matrix": 8},
        {"slice_count": 0},
        {"slice_spacing_mm": 0.0},
        {"field_of_view_mm": 5.0},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=f"PhantomSettings.{next(iter(wrong))}"):
        PhantomSettings(**wrong)  # type: ignore[arg-type]


def test_a_written_series_holds_the_volume(tmp_path: Path) -> None:
    phantom = make_phantom(small())
    paths = write_dicom_series(phantom, tmp_path)
    files = [pydicom.dcmread(path) for path in paths]
    hu = np.stack([f.pixel_array * f.RescaleSlope + f.RescaleIntercept for f in files])
    np.testing.assert_array_equal(hu, phantom.volume.hu)
    steps = np.diff([float(f.ImagePositionPatient[2]) for f in files])
    np.testing.assert_allclose(steps, phantom.volume.geometry.spacing_mm[0], atol=2e-3)
    assert len({f.SOPInstanceUID for f in files}) == len(files)
