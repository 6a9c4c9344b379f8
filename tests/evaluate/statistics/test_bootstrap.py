from __future__ import annotations

import numpy as np
import pytest
from made_predictions import made

from groundglass.errors import SettingsError
from groundglass.evaluate.statistics import (
    BootstrapSettings,
    Predictions,
    bootstrap,
    measure,
    wilson,
)

QUICK = BootstrapSettings(resamples=100)


def accuracy(predictions: Predictions) -> dict[str, float | None]:
    return {"accuracy": float((predictions.predicted == predictions.truth).mean())}


def sizes(predictions: Predictions) -> dict[str, float | None]:
    return {f"n{k}": float((predictions.truth == k).sum()) for k in range(3)}


def test_the_same_seed_gives_the_same_intervals_and_another_others():
    first = bootstrap(made(), settings=QUICK)
    assert bootstrap(made(), settings=QUICK) == first
    assert bootstrap(made(), settings=BootstrapSettings(resamples=100, seed=1)) != first


def test_every_figure_gets_an_interval_around_it():
    predictions = made()
    found = bootstrap(predictions, settings=QUICK)
    values = measure(predictions).values()
    assert found.intervals.keys() == values.keys()
    assert not found.undefined
    # ECE is biased upwards in drawn cohorts: patients come twice, bins are emptier.
    for name in values.keys() - {"calibration_error"}:
        assert found.intervals[name].low <= values[name] <= found.intervals[name].high, name


def test_agrees_with_wilson_where_both_hold():
    predictions = made(counts=(100, 100, 100))
    right = int((predictions.predicted == predictions.truth).sum())
    drawn = bootstrap(
        predictions, accuracy, BootstrapSettings(resamples=2000, stratified=False)
    ).intervals["accuracy"]
    expected = wilson(right, 300)
    assert drawn.low == pytest.approx(expected.low, abs=0.012)
    assert drawn.high == pytest.approx(expected.high, abs=0.012)


def test_strata_keep_their_size_and_only_then():
    kept = bootstrap(made(), sizes, QUICK).intervals
    assert [(kept[f"n{k}"].low, kept[f"n{k}"].high) for k in range(3)] == [
        (25, 25),
        (33, 33),
        (20, 20),
    ]
    free = bootstrap(made(), sizes, BootstrapSettings(resamples=100, stratified=False)).intervals
    assert all(free[f"n{k}"].low < free[f"n{k}"].high for k in range(3))


def test_a_figure_often_undefined_gets_a_reason_and_no_interval():
    # One patient of the third class: a third of the cohorts drawn freely are without it.
    settings = BootstrapSettings(resamples=200, stratified=False)
    found = bootstrap(made(counts=(10, 10, 1)), settings=settings)
    assert "class/healthy/sensitivity" not in found.intervals
    assert "of 200 drawn cohorts" in found.undefined["class/healthy/sensitivity"]
    assert "accuracy" in found.intervals


def test_a_figure_rarely_undefined_says_how_often():
    settings = BootstrapSettings(resamples=200, stratified=False, most_undefined=0.2)
    found = bootstrap(made(counts=(10, 10, 3)), settings=settings)
    assert "undefined left out" in found.intervals["class/healthy/sensitivity"].method


@pytest.mark.parametrize(("undefined", "told"), [(5, True), (6, False)])
def test_a_share_of_undefined_cohorts_up_to_the_limit_is_left_out(undefined, told):
    calls = iter(range(101))  # the first is of the predictions themselves

    def sometimes(_: Predictions) -> dict[str, float | None]:
        call = next(calls)
        return {"figure": None if 1 <= call <= undefined else float(call)}

    found = bootstrap(made(), sometimes, BootstrapSettings(resamples=100, most_undefined=0.05))
    assert ("figure" in found.intervals) == told


def test_ends_are_quantiles_of_the_drawn_figures():
    calls = iter(range(202))
    found = bootstrap(
        made(), lambda _: {"call": float(next(calls))}, BootstrapSettings(resamples=201, level=0.9)
    ).intervals["call"]
    # 1 to 201: 5 % of 200 steps from either end.
    assert (found.low, found.high) == pytest.approx((11, 191))
    assert found.level == 0.9
    assert found.method == "percentile bootstrap, 201 resamples, patients drawn within each class"


def test_a_class_without_patients_is_undefined_in_all():
    full = made()
    none_healthy = full.take(np.flatnonzero(full.truth != 2))
    found = bootstrap(none_healthy, settings=QUICK)
    assert found.undefined["class/healthy/auc"] == "undefined in 100 of 100 drawn cohorts"


@pytest.mark.parametrize("least", [{"resamples": 1}, {"most_undefined": 0}])
def test_settings_at_their_ends(least):
    assert bootstrap(made(), accuracy, BootstrapSettings(**{"resamples": 2, **least})).intervals


@pytest.mark.parametrize(
    "wrong", [{"resamples": 0}, {"level": 1.0}, {"most_undefined": 1.0}, {"most_undefined": -0.1}]
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(SettingsError):
        BootstrapSettings(**wrong)
