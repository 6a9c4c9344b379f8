from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_predictions import LABELS, any_predictions, brief, made, of_counts

from groundglass.errors import InputError
from groundglass.evaluate.statistics import Predictions, measure
from groundglass.evaluate.statistics.metrics import MEASURES, Averaging


def test_one_class_by_hand():
    # 10 of A (8 called A), 10 of B (1 called A, 3 called C), 5 of C (all right).
    metrics = measure(of_counts(np.array([[8, 2, 0], [1, 6, 3], [0, 0, 5]]), ("A", "B", "C")))
    a = metrics.classes[0].measures
    assert a.sensitivity == 8 / 10
    assert a.specificity == 14 / 15
    assert a.one_vs_rest_accuracy == 22 / 25
    assert a.ppv == 8 / 9
    assert a.npv == 14 / 16
    assert a.f1 == 16 / 19
    assert metrics.accuracy == 19 / 25


def test_averages_by_hand():
    averages = measure(of_counts(np.array([[8, 2], [5, 85]]), ("A", "B"))).averages
    assert averages[Averaging.MACRO].sensitivity == pytest.approx((8 / 10 + 85 / 90) / 2)
    assert averages[Averaging.WEIGHTED].sensitivity == pytest.approx(93 / 100)
    assert averages[Averaging.MICRO].sensitivity == pytest.approx(93 / 100)
    assert averages[Averaging.WEIGHTED].ppv == pytest.approx((10 * 8 / 13 + 90 * 85 / 87) / 100)


def test_one_vs_rest_accuracy_flatters_a_rare_class_never_called():
    rare = measure(of_counts(np.array([[0, 5], [0, 95]]), ("rare", "usual"))).classes[0].measures
    assert rare.one_vs_rest_accuracy == 0.95
    assert rare.sensitivity == 0


class TestUndefined:
    def test_a_class_without_patients(self):
        metrics = measure(of_counts(np.array([[4, 1], [0, 0]]), ("A", "B")))
        b = metrics.classes[1].measures
        assert b.sensitivity is None
        assert b.undefined["sensitivity"] == "no patient of this class"
        assert metrics.classes[0].measures.undefined["specificity"] == "no patient of another class"
        # Not the mean of what is left, which would be the other class's figure.
        macro = metrics.averages[Averaging.MACRO]
        assert macro.sensitivity is None
        assert macro.undefined["sensitivity"] == "B: no patient of this class"
        # A class without patients has no weight.
        assert metrics.averages[Averaging.WEIGHTED].sensitivity == 4 / 5

    def test_a_class_never_called(self):
        measures = measure(of_counts(np.array([[0, 5], [0, 5]]), ("A", "B"))).classes[0].measures
        assert measures.ppv is None
        assert measures.undefined["ppv"] == "no patient was called this class"
        assert measures.f1 == 0
        assert measures.sensitivity == 0

    def test_a_class_always_called(self):
        measures = measure(of_counts(np.array([[5, 0], [5, 0]]), ("A", "B"))).classes[0].measures
        assert measures.npv is None
        assert "every patient" in measures.undefined["npv"]

    def test_a_class_neither_present_nor_called(self):
        matrix = np.array([[5, 1, 0], [1, 5, 0], [0, 0, 0]])
        assert measure(of_counts(matrix)).classes[2].measures.f1 is None

    def test_an_area_needs_patients_of_either_kind(self):
        metrics = measure(made().take(np.flatnonzero(made().truth == 1)))
        found = [one.measures.undefined.get("auc") for one in metrics.classes]
        none = "no patient of this class"
        assert found == [none, "no patient of another class", none]

    @brief
    @given(any_predictions())
    def test_none_and_reason_come_together(self, predictions):
        metrics = measure(predictions)
        for measures in (
            *(one.measures for one in metrics.classes),
            *metrics.averages.values(),
        ):
            missing = {name for name, value in measures.values().items() if value is None}
            assert missing == set(measures.undefined)


@brief
@given(any_predictions())
def test_every_figure_is_within_its_bounds(predictions):
    for name, value in measure(predictions).values().items():
        if value is not None:
            assert 0 <= value <= (2 if name == "brier" else 1) + 1e-12, name


@brief
@given(any_predictions(), st.randoms(use_true_random=False))
def test_the_order_of_patients_does_not_matter(predictions, random):
    rows = list(range(len(predictions.truth)))
    random.shuffle(rows)
    before, after = measure(predictions), measure(predictions.take(np.array(rows)))
    assert after.values() == pytest.approx(before.values())


@brief
@given(any_predictions(), st.randoms(use_true_random=False))
def test_the_order_of_classes_does_not_matter(predictions, random):
    order = list(range(len(predictions.labels)))
    random.shuffle(order)
    place = np.argsort(order)
    turned = Predictions(
        tuple(predictions.labels[k] for k in order),
        place[predictions.truth],
        place[predictions.predicted],
        predictions.probabilities[:, order],
    )
    assert measure(turned).values() == pytest.approx(measure(predictions).values())


@brief
@given(st.lists(st.integers(1, 12), min_size=2, max_size=5))
def test_perfect_predictions(counts):
    truth = np.repeat(np.arange(len(counts)), counts)
    probabilities = np.eye(len(counts))[truth]
    labels = tuple(f"class {k}" for k in range(len(counts)))
    values = measure(Predictions(labels, truth, truth, probabilities)).values()
    assert values.pop("brier") == 0
    assert values.pop("calibration_error") == 0
    assert set(values.values()) == {1.0}


@brief
@given(any_predictions())
def test_micro_sensitivity_ppv_and_f1_are_the_accuracy(predictions):
    metrics = measure(predictions)
    micro = metrics.averages[Averaging.MICRO]
    for value in (micro.sensitivity, micro.ppv, micro.f1):
        assert value == pytest.approx(metrics.accuracy)


@brief
@given(any_predictions())
def test_two_classes_mirror_each_other(predictions):
    if len(predictions.labels) == 2:
        one, other = (each.measures for each in measure(predictions).classes)
        assert one.sensitivity == other.specificity
        assert one.ppv == other.npv
        assert one.auc == (None if other.auc is None else pytest.approx(other.auc))


def test_four_classes_work_alike():
    metrics = measure(made(counts=(9, 8, 7, 6)))
    assert metrics.confusion.shape == (4, 4)
    assert metrics.patients == 30
    assert metrics.labels == ("class 0", "class 1", "class 2", "class 3")


def test_names_of_figures_hold_every_class_and_average():
    names = measure(made()).values()
    scopes = ["macro", "micro", "weighted", *(f"class/{label}" for label in LABELS)]
    assert {f"{scope}/{name}" for scope in scopes for name in MEASURES} < set(names)
    assert names.keys() >= {"accuracy", "brier", "calibration_error"}


class TestRefused:
    @pytest.mark.parametrize("labels", [("A",), ("A", "A"), ()])
    def test_classes(self, labels):
        with pytest.raises(InputError, match="two or more"):
            Predictions(labels, *[np.zeros(1, dtype=np.int64)] * 2, np.ones((1, len(labels))))

    @pytest.mark.parametrize(
        "row",
        [[0.7, 0.7], [0.4, 0.4], [-0.2, 1.2], [-0.005, 1], [1.005, 0], [np.nan, 1.0], [np.nan] * 2],
    )
    def test_rows_that_are_no_probabilities(self, row):
        two = np.zeros(2, dtype=np.int64)
        with pytest.raises(InputError, match="row 1"):
            Predictions(("A", "B"), two, two, np.array([[1.0, 0.0], row]))

    @pytest.mark.parametrize("row", [[0.494, 0.5], [0.506, 0.5]])
    def test_rounded_rows_are_probabilities(self, row):
        one = np.zeros(1, dtype=np.int64)
        assert Predictions(("A", "B"), one, one, np.array([row])).probabilities.tolist() == [row]

    def test_no_patients(self):
        with pytest.raises(InputError, match="no patients"):
            Predictions(("A", "B"), *[np.zeros(0, dtype=np.int64)] * 2, np.zeros((0, 2)))

    def test_lengths_that_differ(self):
        two, one = np.zeros(2, dtype=np.int64), np.zeros(1, dtype=np.int64)
        with pytest.raises(InputError, match="one row per patient"):
            Predictions(("A", "B"), two, one, np.full((2, 2), 0.5))

    @pytest.mark.parametrize("wrong", [[0, 2], [2, 0], [-1, 0], [0, -1]])
    def test_index_out_of_range(self, wrong):
        fine, wrong = np.array([0, 1]), np.array(wrong)
        for truth, predicted, which in ((fine, wrong, "predicted"), (wrong, fine, "true")):
            with pytest.raises(InputError, match=f"{which} class indices.*0 to 1"):
                Predictions(("A", "B"), truth, predicted, np.full((2, 2), 0.5))
