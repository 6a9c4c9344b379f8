"""What the classifier says of its images beside their activations."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.core.result import SliceGroup
from groundglass.infer import Classifier, CpuEngine, Precision, load_bundle
from groundglass.infer.classify import foreground_mask

_SIZE = 50


@pytest.mark.parametrize("black", [(), (3,), (0, 1, 4), tuple(range(50))])
def test_padding_is_judged_as_any_image_is(black: tuple[int, ...]) -> None:
    """Black images are not encoded again: nobody may see that in the answer."""
    classifier = Classifier(load_bundle(), CpuEngine(Precision.F32))
    images = np.sort(
        np.random.default_rng(2).integers(0, 256, (_SIZE, 256, 256), dtype=np.uint8), axis=1
    )
    images[list(black)] = 0
    group = SliceGroup(0, tuple(range(_SIZE)), size=_SIZE, padding=0, interpolated=False)
    found, detail = classifier(group, images), classifier.detail(images)
    np.testing.assert_allclose(found.features, detail.features, atol=1e-4)
    np.testing.assert_allclose(found.maps, detail.maps[-1], atol=1e-4)


def test_a_cell_is_seen_where_half_of_it_or_more_is_not_black() -> None:
    images = np.zeros((2, 16, 16), np.uint8)
    images[1, :8, :] = 1  # as dark as lung can be, not black
    images[1, 8:10, :] = 200  # half of the next row of cells
    seen = foreground_mask(images, 4)
    assert seen.shape == (2, 4, 4)
    assert not seen[0].any()
    assert seen[1, :3].all()
    assert not seen[1, 3].any()
