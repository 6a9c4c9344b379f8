from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_predictions import brief, made

from groundglass.errors import InputError
from groundglass.evaluate.statistics import auc, auc_interval, compare, delong_test, mcnemar
from groundglass.evaluate.statistics.roc import delong_variance

#: Ovarian cancer with intestinal obstruction, DeLong et al., Biometrics 1988;44:837: the 43 of 49
#: patients with all three measurements, as the SAS/STAT manual lists them (PROC LOGISTIC, example
#: "Comparing Receiver Operating Characteristic Curves"). Albumin, total protein, K-G score.
WORSE = [
    (3.0, 5.8, 10), (2.8, 4.8, 6), (0.9, 4.0, 5), (2.5, 5.7, 8), (3.6, 6.7, 4), (4.2, 7.6, 4),
    (4.0, 6.6, 6), (3.0, 4.7, 8), (3.3, 6.8, 6), (1.7, 4.0, 7), (2.9, 5.7, 9), (2.8, 6.2, 8),
]  # fmt: skip
BETTER = [
    (3.2, 6.3, 5), (3.9, 6.8, 3), (3.2, 5.8, 3), (1.6, 5.6, 5), (3.8, 5.7, 5), (3.7, 6.7, 6),
    (3.2, 5.4, 4), (3.8, 6.6, 6), (4.1, 6.6, 5), (3.6, 5.7, 5), (4.3, 7.0, 4), (2.3, 4.4, 6),
    (3.5, 5.8, 6), (3.8, 6.8, 7), (4.5, 7.4, 5), (3.7, 7.4, 5), (3.1, 6.6, 6), (4.1, 8.2, 6),
    (4.3, 7.0, 5), (4.3, 6.5, 4), (3.2, 5.1, 5), (2.6, 4.7, 6), (3.7, 6.1, 5), (3.3, 6.3, 7),
    (4.2, 7.7, 6), (3.5, 6.2, 5), (2.1, 4.8, 7), (4.0, 7.0, 7), (3.3, 5.7, 6), (3.7, 6.9, 5),
    (3.6, 6.6, 5),
]  # fmt: skip


class TestDeLong1988:
    @pytest.fixture
    def tests(self):
        table = np.array(WORSE + BETTER)
        # A high K-G score is bad, so it is turned round, as in the manual (10 − score).
        scores = {"albumin": table[:, 0], "protein": table[:, 1], "kg": 10 - table[:, 2]}
        return scores, np.arange(len(table)) >= len(WORSE)

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("albumin", (0.7366, 0.0927, 0.5549, 0.9182)),
            ("kg", (0.7258, 0.1028, 0.5243, 0.9273)),
            ("protein", (0.6478, 0.1000, 0.4518, 0.8439)),
        ],
    )
    def test_areas(self, tests, name, expected):
        scores, positive = tests
        interval = auc_interval(scores[name], positive)
        found = (
            auc(scores[name], positive),
            delong_variance(scores[name], positive) ** 0.5,
            interval.low,
            interval.high,
        )
        assert tuple(round(value, 4) for value in found) == expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("albumin", (0.0108, -0.1761, 0.1976, 0.0127, 0.9102)),
            ("protein", (-0.0780, -0.2830, 0.1271, 0.5554, 0.4561)),
        ],
    )
    def test_differences_from_the_kg_score(self, tests, name, expected):
        scores, positive = tests
        test = delong_test((scores[name], scores["kg"]), positive)
        found = (test.difference, test.interval.low, test.interval.high, test.z**2, test.p)
        assert tuple(round(value, 4) for value in found) == expected


def test_delong_of_the_same_scores_has_nothing_to_test():
    predictions = made()
    found = compare(predictions, predictions).delong["CP"]
    assert found.difference == 0
    assert found.z is found.p is found.interval is None
    assert "no variance" in found.undefined


def test_delong_turns_its_sign():
    first, second = made(1), made(2)
    one, other = compare(first, second).delong["NCP"], compare(second, first).delong["NCP"]
    assert one.z == pytest.approx(-other.z)
    assert one.p == pytest.approx(other.p)


def test_delong_finds_a_large_difference_and_not_a_small_one():
    good, as_good, guessing = made(1, skill=3), made(2, skill=3), made(3, skill=0)
    assert compare(good, guessing).delong["CP"].p < 0.001
    assert compare(good, as_good).delong["CP"].p > 0.01


@pytest.mark.parametrize(
    ("positive", "why"),
    [
        ([False] * 4, "no patient of this class"),
        ([True] * 4, "no patient of another class"),
        ([True, False, False, False], "fewer than two"),
    ],
)
def test_delong_says_why_it_cannot(positive, why):
    found = delong_test((np.arange(4.0), np.array([0.0, 2, 1, 3])), np.array(positive))
    assert found.p is None
    assert why in found.undefined


class TestMcNemar:
    def test_published_example(self):
        # Bentur et al. in Fagerland, Lydersen and Laake 2013: 1 and 7 discordant children of 21.
        found = mcnemar(1, 7)
        assert round(found.exact_p, 4) == 0.0703
        assert round(found.mid_p, 4) == 0.0391

    def test_equal_counts(self):
        # Fagerland et al.: exact 1, mid-p 1 − ½·P(n12); P(3 of 6) = 20/64.
        found = mcnemar(3, 3)
        assert found.exact_p == pytest.approx(1)
        assert found.mid_p == pytest.approx(1 - 10 / 64)

    def test_nobody_discordant(self):
        found = mcnemar(0, 0)
        assert found.exact_p is found.mid_p is None
        assert "only one of the two" in found.undefined

    @brief
    @given(st.integers(0, 60), st.integers(0, 60))
    def test_bounds_and_symmetry(self, first, second):
        found, turned = mcnemar(first, second), mcnemar(second, first)
        assert found.exact_p == turned.exact_p
        if found.exact_p is not None:
            assert 0 < found.mid_p < found.exact_p <= 1

    def test_negative_count(self):
        with pytest.raises(InputError, match="discordant"):
            mcnemar(-1, 2)

    def test_counts_come_from_who_is_right(self):
        first = made()
        wrong = (first.truth + 1) % 3
        truth = first.truth
        right_then_wrong = np.where(np.arange(len(truth)) < 50, truth, wrong)
        wrong_then_right = np.where(np.arange(len(truth)) < 48, wrong, truth)
        found = compare(
            replace(first, predicted=right_then_wrong), replace(first, predicted=wrong_then_right)
        ).mcnemar
        assert (found.only_first, found.only_second) == (48, 28)


def test_other_patients_are_refused():
    first = made()
    with pytest.raises(InputError, match="same patients"):
        compare(first, first.take(np.arange(len(first.truth))[::-1]))
