"""The paper's Table 2: which confusion matrices give it, and where its print cannot be right.

Kara et al. 2021, Table 2, with the test set of Table 1: 25 CP, 33 NCP, 20 healthy patients.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from made_predictions import LABELS, made, of_counts

from groundglass.evaluate.statistics import (
    BootstrapSettings,
    bootstrap,
    measure,
    table2,
    wilson,
)
from groundglass.evaluate.statistics.metrics import Averaging

PATIENTS = {"CP": 25, "NCP": 33, "healthy": 20}
#: As printed: accuracy, specificity, sensitivity, F1.
PRINTED = {
    "CP": (0.840, 0.983, 0.840, 0.875),
    "NCP": (0.939, 0.962, 0.939, 0.899),
    "healthy": (0.900, 0.889, 0.900, 0.923),
    "Average": (0.897, 0.949, 0.893, 0.899),
}
#: The printed specificities where the counts put them.
SPECIFICITY = {"CP": (51, 53, 0.962), "NCP": (40, 45, 0.889), "healthy": (57, 58, 0.983)}


def prints(value: float | None) -> float:
    assert value is not None
    return round(value, 3)


def matrices_that_print_table2():
    """Every confusion matrix with the printed sensitivities and F1 values."""
    hits, false = [21, 31, 18], [2, 5, 1]
    misses = [PATIENTS[label] - hit for label, hit in zip(LABELS, hits, strict=True)]
    rows = [range(miss + 1) for miss in misses]
    for first in itertools.product(*rows):
        off = np.zeros((3, 3), dtype=np.int64)
        for k in range(3):
            left, right = [column for column in range(3) if column != k]
            off[k, left], off[k, right] = first[k], misses[k] - first[k]
        if off.sum(axis=0).tolist() == false:
            yield off + np.diag(hits)


MATRICES = list(matrices_that_print_table2())


def test_two_matrices_fit_the_margins():
    assert [matrix.tolist() for matrix in MATRICES] == [
        [[21, 3, 1], [2, 31, 0], [0, 2, 18]],
        [[21, 4, 0], [1, 31, 1], [1, 1, 18]],
    ]


@pytest.mark.parametrize("label", LABELS)
def test_printed_sensitivity_and_f1_leave_one_choice_of_counts(label):
    accuracy, _, sensitivity, f1 = PRINTED[label]
    n = PATIENTS[label]
    negatives = 78 - n
    fitting = [
        (tp, fp)
        for tp in range(n + 1)
        for fp in range(negatives + 1)
        if round(tp / n, 3) == sensitivity and round(2 * tp / (n + tp + fp), 3) == f1
    ]
    true_negatives, of, _ = SPECIFICITY[label]
    assert of == negatives
    assert fitting == [(round(sensitivity * n), negatives - true_negatives)]
    assert accuracy == sensitivity


@pytest.mark.parametrize("matrix", MATRICES, ids=["matrix 1", "matrix 2"])
class TestEveryPrintedValue:
    def test_classes_and_average(self, matrix):
        rows = {row.label: row for row in table2(measure(of_counts(matrix)))}
        assert list(rows) == [*LABELS, "Average"]
        for label, (accuracy, specificity, sensitivity, f1) in PRINTED.items():
            row = rows[label]
            expected = SPECIFICITY[label][2] if label in SPECIFICITY else specificity
            assert prints(row.accuracy.value) == accuracy
            assert prints(row.specificity.value) == expected
            assert prints(row.sensitivity.value) == sensitivity
            assert prints(row.f1.value) == f1

    def test_the_average_row_mixes_micro_and_macro(self, matrix):
        averages = measure(of_counts(matrix)).averages
        macro, micro = averages[Averaging.MACRO], averages[Averaging.MICRO]
        assert micro.specificity == 148 / 156
        assert prints(macro.specificity) == 0.945 != PRINTED["Average"][1]
        assert prints(micro.sensitivity) == 0.897 != PRINTED["Average"][2]
        assert (prints(macro.sensitivity), prints(macro.f1)) == (0.893, 0.899)

    def test_the_abstract_swaps_the_averages_for_healthy(self, matrix):
        # It says of healthy patients: specificity 89.3 %, sensitivity 94.9 %.
        averages = measure(of_counts(matrix)).averages
        assert prints(averages[Averaging.MACRO].sensitivity) == 0.893
        assert prints(averages[Averaging.MICRO].specificity) == 0.949

    def test_intervals(self, matrix):
        rows = {row.label: row for row in table2(measure(of_counts(matrix)))}
        overall, cp = rows["Average"].accuracy.interval, rows["CP"].sensitivity.interval
        assert (round(overall.low, 3), round(overall.high, 3)) == (0.810, 0.947)
        assert (round(cp.low, 3), round(cp.high, 3)) == (0.653, 0.936)


def test_the_printed_order_of_specificities_cannot_be():
    for label, (_, printed, _, _) in PRINTED.items():
        if label == "Average":
            continue
        negatives = 78 - PATIENTS[label]
        possible = {round(k / negatives, 3) for k in range(negatives + 1)}
        assert printed not in possible, label


def test_only_one_order_of_the_three_can_be():
    printed = [PRINTED[label][1] for label in LABELS]
    possible = [
        {round(k / (78 - PATIENTS[label]), 3) for k in range(79 - PATIENTS[label])}
        for label in LABELS
    ]
    fitting = [
        order
        for order in itertools.permutations(printed)
        if all(value in those for value, those in zip(order, possible, strict=True))
    ]
    assert fitting == [tuple(SPECIFICITY[label][2] for label in LABELS)]


def test_no_interval_without_the_bootstrap_where_wilson_does_not_hold():
    predictions = made()
    metrics = measure(predictions)
    average = table2(metrics)[-1]
    assert average.sensitivity.interval is average.specificity.interval is average.f1.interval
    assert average.f1.interval is None
    drawn = bootstrap(predictions, settings=BootstrapSettings(resamples=50)).intervals
    average = table2(metrics, drawn)[-1]
    assert average.f1.interval == drawn["macro/f1"]
    assert average.specificity.interval == drawn["micro/specificity"]


def test_a_class_without_patients_says_so():
    rows = table2(measure(of_counts(np.array([[3, 0], [0, 0]]), ("A", "B"))))
    assert rows[1].sensitivity.value is None
    assert rows[1].sensitivity.interval is None
    assert rows[1].sensitivity.note == "no patient of this class"
    assert rows[2].sensitivity.note == "B: no patient of this class"
    assert rows[2].accuracy.interval == wilson(3, 3)
