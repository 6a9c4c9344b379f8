"""What of a layer's response counts, and how channels add up."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.explain import AllLayers, GradCam

#: Of responses how far they stand out of the usual one.
contrast_to_median = AllLayers(7.0, 0.8).channel_evidence


def lung(channels: int = 2, cells: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Everywhere alike but for a little noise, seen in the middle."""
    rng = np.random.default_rng(0)
    layer = 0.5 + 0.01 * rng.standard_normal((channels, cells, cells)).astype(np.float32)
    seen = np.zeros((cells, cells), np.bool_)
    seen[2:-2, 2:-2] = True
    return layer, seen


def test_what_is_usual_does_not_count_however_strong() -> None:
    layer, seen = lung()
    weight = np.ones(2, np.float32)
    quiet = contrast_to_median(layer, seen).weighted(weight)
    louder = contrast_to_median(layer + 3.0, seen).weighted(weight)
    np.testing.assert_allclose(quiet, louder, atol=1e-5)
    assert np.abs(contrast_to_median(np.ones_like(layer), seen).weighted(weight)).max() == 0


def test_a_response_half_as_far_out_counts_a_quarter() -> None:
    layer, seen = lung(1)
    layer[0] = 0.5
    layer[0, 5, 5] += 1.0
    layer[0, 9, 9] += 0.5
    layer[0, 7, 7] -= 0.5
    evidence = contrast_to_median(layer, seen).weighted(np.ones(1, np.float32))
    assert evidence[9, 9] == pytest.approx(evidence[5, 5] / 4, rel=1e-5)
    assert evidence[7, 7] == pytest.approx(-evidence[5, 5] / 4, rel=1e-5)


def test_one_outlier_more_hardly_changes_the_others() -> None:
    """Scaled by the largest, all would shrink with it."""
    layer, seen = lung(1, 32)
    weight = np.ones(1, np.float32)
    before = contrast_to_median(layer, seen).weighted(weight)
    layer[0, 8, 8] += 0.05
    after = contrast_to_median(layer, seen).weighted(weight)
    others = seen.copy()
    others[8, 8] = False
    assert np.abs(after)[others].sum() == pytest.approx(np.abs(before)[others].sum(), rel=0.05)


def test_where_the_image_is_black_nothing_counts() -> None:
    layer, seen = lung()
    layer[:, 0, 0] = 9.0
    assert not contrast_to_median(layer, seen).weighted(np.ones(2, np.float32))[~seen].any()
    nothing = contrast_to_median(layer, np.zeros_like(seen)).weighted(np.ones(2, np.float32))
    assert not nothing.any()


def test_what_speaks_against_cancels_what_speaks_for() -> None:
    layer, seen = lung()
    layer[1] = layer[0]
    response = contrast_to_median(layer, seen)
    for_and_against = response.weighted(np.array([1.0, -0.6], np.float32))
    alone = response.weighted(np.array([0.4, 0.0], np.float32))
    np.testing.assert_allclose(for_and_against, alone, atol=1e-6)


def test_several_classes_are_weighted_at_once() -> None:
    layer, seen = lung()
    response = contrast_to_median(layer, seen)
    weights = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    together = response.weighted(weights)
    for one, weight in zip(together, weights, strict=True):
        np.testing.assert_allclose(one, response.weighted(weight), atol=1e-6)


def test_grad_cams_is_a_mean_over_all_cells() -> None:
    layer, seen = lung()
    weight = np.array([2.0, -1.0], np.float32)
    expected = (weight[:, None, None] * layer).sum(axis=0) / 256
    np.testing.assert_allclose(
        GradCam().channel_evidence(layer, seen).weighted(weight), expected, atol=1e-6
    )
