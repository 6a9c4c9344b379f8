"""Scans are as different as in hospitals, and stay within the limits that are promised."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.phantom import PhantomSettings, make_patient, render_slices
from groundglass.phantom.anatomy import draw_anatomy
from groundglass.phantom.scanner import MAX_SLICES, MIN_SLICES, Scan, draw_scan
from groundglass.phantom.settings import stream


def scan_of(settings: PhantomSettings) -> Scan:
    return draw_scan(draw_anatomy(stream(settings.seed, "anatomy")), settings)


def test_drawn_scans_differ_within_their_limits() -> None:
    scans = [scan_of(PhantomSettings(seed=seed)) for seed in range(400)]
    counts = [len(scan.z_mm) for scan in scans]
    assert min(counts) >= MIN_SLICES
    assert max(counts) <= MAX_SLICES
    assert min(counts) < 40
    assert max(counts) > 180
    assert all(0.75 <= scan.spacing_mm <= 5.0 for scan in scans)
    widths = [scan.grid.pixel_mm * scan.grid.columns for scan in scans]
    assert 299.9 < min(widths) < 340
    assert 440 < max(widths) < 500.1
    sharpness = np.array([scan.sharpness for scan in scans])
    assert 0.15 < (sharpness == 0).mean() < 0.35
    assert 0.15 < (sharpness == 1).mean() < 0.35
    assert np.ptp(sharpness[(sharpness > 0) & (sharpness < 1)]) > 0.8
    assert {scan.padding_hu for scan in scans} >= {None, -1024.0, -2000.0}
    assert {scan.table for scan in scans} == {0, 1, 2, 3}


def test_slices_are_evenly_spaced_from_feet_to_head() -> None:
    for seed in range(30):
        scan = scan_of(PhantomSettings(seed=seed))
        np.testing.assert_allclose(np.diff(scan.z_mm), scan.spacing_mm, atol=2e-3)


def test_what_is_asked_for_is_not_drawn() -> None:
    scan = scan_of(PhantomSettings(slice_count=17, slice_spacing_mm=2.5, field_of_view_mm=333.0))
    assert len(scan.z_mm) == 17
    assert scan.spacing_mm == 2.5
    assert scan.grid.pixel_mm * scan.grid.columns == pytest.approx(333.0)


def test_outside_the_circle_is_padding_and_never_lung() -> None:
    seeds = [s for s in range(20) if scan_of(PhantomSettings(seed=s)).padding_hu == -2000.0]
    settings = PhantomSettings(seed=seeds[0], matrix=96, field_of_view_mm=220.0)
    patient = make_patient(settings)
    slices = render_slices(patient, [0.5 * patient.person.lung_height_mm])
    y, x = np.mgrid[:96, :96] - 47.5
    outside = np.hypot(x, y) > 48.5
    assert (slices.hu[0][outside] == -2000).all()
    assert not slices.lung[0][outside].any()
    assert slices.hu[0][np.hypot(x, y) < 47].min() >= -1024
