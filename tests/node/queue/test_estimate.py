"""The cost model finds the coefficients of a machine, and says how far to trust it."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from benchmarks.sections.scaling import left_out_errors
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.errors import SettingsError
from groundglass.node.queue.estimate import (
    CostModel,
    Observation,
    StudySize,
)

SIZES = [
    StudySize(slices, matrix, matrix, compressed)
    for slices in (13, 50, 100, 300, 600, 1000)
    for matrix, compressed in ((512, False), (512, True), (256, False), (768, True))
]
#: What is believed of a machine before it has analysed anything.
BELIEVED = CostModel(
    study_s=0.55, slice_s=0.0065, segmented_s=0.01, megapixel_s=0.0075, decoding_s=0.006
)
MACHINE = CostModel(
    study_s=0.3, slice_s=0.005, segmented_s=0.012, megapixel_s=0.013, decoding_s=0.009
)


def observed(model: CostModel, sizes: list[StudySize]) -> list[Observation]:
    return [Observation(size, model.predict(size)) for size in sizes]


def test_a_prediction_is_the_sum_worked_out_by_hand() -> None:
    model = CostModel(study_s=1.0, slice_s=0.1, segmented_s=0.5, megapixel_s=2.0, decoding_s=3.0)
    assert model.predict(StudySize(10, 1000, 500, compressed=False)) == pytest.approx(17.0)
    assert model.predict(StudySize(10, 1000, 500, compressed=True)) == pytest.approx(32.0)


def test_of_thin_slices_not_all_are_segmented() -> None:
    """300 mm in slices of 1 mm: every fourth, and the last."""
    model = CostModel(study_s=0, slice_s=0, segmented_s=1, megapixel_s=0, decoding_s=0)
    assert model.predict(StudySize(300, 64, 64, compressed=False)) == 76
    assert model.predict(StudySize(100, 64, 64, compressed=False)) == 100


def test_fitting_recovers_the_machine() -> None:
    found = BELIEVED.fitted(observed(MACHINE, SIZES))
    assert [found.predict(s) for s in SIZES] == pytest.approx(
        [MACHINE.predict(s) for s in SIZES], rel=0.04
    )


def test_noise_of_a_tenth_leaves_predictions_within_a_fifth() -> None:
    rng = np.random.default_rng(3)
    noisy = [
        Observation(o.size, o.seconds * float(rng.normal(1, 0.1))) for o in observed(MACHINE, SIZES)
    ]
    found = BELIEVED.fitted(noisy)
    assert all(abs(found.predict(s) / MACHINE.predict(s) - 1) < 0.2 for s in SIZES)


def test_a_disturbed_analysis_teaches_nothing() -> None:
    sound = observed(MACHINE, SIZES)
    stalled = Observation(SIZES[3], 40 * MACHINE.predict(SIZES[3]))
    found, expected = BELIEVED.fitted([*sound, stalled]), BELIEVED.fitted(sound)
    assert astuple(found) == pytest.approx(astuple(expected), rel=1e-2)


def test_one_kind_of_study_scales_what_was_believed() -> None:
    one = Observation(SIZES[8], 2 * BELIEVED.predict(SIZES[8]))
    found = BELIEVED.fitted([one])
    assert astuple(found) == pytest.approx([2 * value for value in astuple(BELIEVED)])


def test_without_observations_nothing_changes() -> None:
    assert BELIEVED.fitted([]) is BELIEVED


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(SIZES), st.floats(0.1, 100)), min_size=1, max_size=12))
def test_no_coefficient_falls_below_zero(seen: list[tuple[StudySize, float]]) -> None:
    found = BELIEVED.fitted([Observation(*one) for one in seen])
    assert min(astuple(found)) >= 0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(SIZES), st.floats(0.1, 100)), min_size=1, max_size=12))
def test_more_slices_never_take_less(seen: list[tuple[StudySize, float]]) -> None:
    found = BELIEVED.fitted([Observation(*one) for one in seen])
    times = [found.predict(StudySize(n, 512, 512, compressed=True)) for n in (1, 50, 500)]
    assert times == sorted(times)


def test_left_out_errors_are_none_on_a_machine_of_this_form_and_show_a_liar() -> None:
    sound = observed(MACHINE, SIZES)
    assert max(map(abs, left_out_errors(BELIEVED, sound))) < 0.05
    half = Observation(SIZES[0], sound[0].seconds / 2)
    errors = left_out_errors(BELIEVED, [half, *sound[1:]])
    assert errors[0] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("wrong", [(0, 512, 512), (10, 0, 512), (10, 512, -1)])
def test_no_size_at_all_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(SettingsError):
        StudySize(*wrong, compressed=False)
