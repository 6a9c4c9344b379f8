"""What the classifier says of its images beside their activations."""

from __future__ import annotations

import numpy as np

from groundglass.infer.classify import seen_cells


def test_a_cell_is_seen_where_more_than_half_of_it_is_not_black() -> None:
    images = np.zeros((2, 16, 16), np.uint8)
    images[1, :8, :] = 1  # as dark as lung can be, not black
    images[1, 8:10, :] = 200  # half of the next row of cells
    seen = seen_cells(images, 4)
    assert seen.shape == (2, 4, 4)
    assert not seen[0].any()
    assert seen[1, :2].all()
    assert not seen[1, 3].any()
