"""How well a few numbers tell two kinds of patients apart, by a rule that has not seen them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundglass.evaluate.statistics.intervals import Interval
from groundglass.evaluate.statistics.roc import newcombe_interval

#: Fewest patients of either kind: below it the rule rests on three. Our choice.
FEWEST = 5
#: Added to the variance within the kinds, of numbers with variance 1, so that few patients, or
#: numbers that go together, make no wild rule. Our choice.
_RIDGE = 0.1


def pairs_left_out_area(
    numbers: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[float, Interval] | None:
    """Leave-pair-out AUC of Fisher's linear discriminant, and Newcombe's interval of it.

    Each pair of a positive and a negative patient is ranked by the discriminant of all others. With
    nothing to know it is 0.5 on the mean, which leaving out one patient at a time is not. Sources:
    Airola et al., Comput Stat Data Anal 2011;55:1828; Fisher, Ann Eugen 1936;7:179. The interval
    takes the pairs' rules for one.

    Parameters
    ----------
    numbers : ndarray of float64, shape (patients, numbers)
        What is known of each; scaled to variance 1 here, a constant one is of no use.
    positive : ndarray of bool, shape (patients,)
        The truth.

    Returns
    -------
    float and Interval, or None
        None with fewer than `FEWEST` of either kind, or where all numbers are constant.
    """
    if min(positive.sum(), (~positive).sum()) < FEWEST:
        return None
    spread = numbers.std(axis=0)
    useful = spread > 1e-9 * np.abs(numbers).max(axis=0, initial=0.0)
    if not useful.any():
        return None
    scaled = (numbers[:, useful] - numbers[:, useful].mean(axis=0)) / spread[useful]
    own, rest = scaled[positive], scaled[~positive]
    own_means, own_scatters = _without_each(own)
    rest_means, rest_scatters = _without_each(rest)
    freedom = max(1, len(own) + len(rest) - 4)
    ridge = _RIDGE * np.eye(scaled.shape[1])
    won = 0.0
    for one, mean, scatter in zip(own, own_means, own_scatters, strict=True):
        within = (scatter + rest_scatters) / freedom + ridge
        apart = mean - rest_means
        weights = np.linalg.solve(within, apart[..., None])[..., 0]
        above = ((one - rest) * weights).sum(axis=1)
        won += float((above > 0).sum() + (above == 0).sum() / 2)
    area = won / (len(own) * len(rest))
    return area, newcombe_interval(area, len(own), len(rest))


def _without_each(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean, and scatter around it, of all rows but each: (rows, n) and (rows, n, n)."""
    left = len(rows) - 1
    means = (rows.sum(axis=0) - rows) / left
    products = rows[:, :, None] * rows[:, None, :]
    around = means[:, :, None] * means[:, None, :]
    return means, products.sum(axis=0) - products - left * around
