"""What is worked out of times and masks."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.samples import Pairs, Sample
from benchmarks.sections.masks import dice, for_study


def test_the_peer_is_given_a_part_of_the_study() -> None:
    pairs = for_study(Pairs(Sample((1.0,)), Sample((10.0,))), 50)
    assert pairs.ratio.median == pytest.approx(100)


def test_dice_is_twice_the_overlap_over_the_sum() -> None:
    one, other = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 1], bool)
    assert dice(one, other) == pytest.approx(2 / 5)
    assert dice(one, one) == 1.0
    assert dice(one & ~one, one & ~one) == 1.0
