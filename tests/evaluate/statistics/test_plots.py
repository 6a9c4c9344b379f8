from __future__ import annotations

import sys

import numpy as np
import pytest
from made_predictions import made

from groundglass.errors import SettingsError
from groundglass.evaluate.statistics import judge_threshold, measure, reliability, wilson
from groundglass.evaluate.statistics.metrics import Averaging
from groundglass.evaluate.statistics.plots import (
    NamedShare,
    draw_calibration,
    draw_confusion,
    draw_operating_point,
    draw_roc,
    draw_shares,
    to_png,
)


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SettingsError, match=r"pip install '\.\[evaluate\]'"):
        draw_roc(made())


class TestDrawn:
    @pytest.fixture(autouse=True)
    def matplotlib(self):
        pytest.importorskip("matplotlib")

    def test_roc_shows_each_class_and_the_macro_average(self):
        predictions = made()
        axes = draw_roc(predictions).axes[0]
        metrics = measure(predictions)
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        for one, text in zip(metrics.classes, texts, strict=False):
            assert text.startswith(f"{one.label}: AUC {one.measures.auc:.3f} (")
        macro = metrics.averages[Averaging.MACRO].auc
        assert texts[-1] == f"macro average: AUC {macro:.3f}"
        # Its own area agrees, but for the grid it is drawn on.
        x, y = axes.lines[3].get_data()
        assert (np.diff(x) * (y[1:] + y[:-1]) / 2).sum() == pytest.approx(macro, abs=0.002)

    def test_roc_names_a_class_without_a_curve_and_leaves_out_the_average(self):
        full = made()
        axes = draw_roc(full.take(np.flatnonzero(full.truth != 1))).axes[0]
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert texts[1] == "NCP: no curve"
        assert not any("macro" in text for text in texts)

    def test_confusion_shows_shares_and_counts(self):
        metrics = measure(made())
        axes = draw_confusion(metrics).axes[0]
        texts = [text.get_text() for text in axes.texts]
        row = metrics.confusion[0]
        assert texts[0] == f"{row[0] / 25:.2f}\n{row[0]}/25"
        assert len(texts) == 9

    def test_confusion_has_no_shares_for_an_absent_class(self):
        full = made()
        figure = draw_confusion(measure(full.take(np.flatnonzero(full.truth != 2))))
        assert figure.axes[0].texts[-1].get_text() == "–\n0/0"

    def test_calibration_draws_the_bins_that_hold_patients(self):
        predictions = made()
        right = predictions.predicted == predictions.truth
        table = reliability(predictions.probabilities.max(axis=1), right, bins=10)
        axes = draw_calibration(table).axes[0]
        assert [text.get_text() for text in axes.texts] == [
            f"{row.count}" for row in table if row.count
        ]

    def test_the_operating_point_lies_on_its_curve_with_both_intervals(self):
        predictions = made()
        scores, positive = predictions.probabilities[:, 0], predictions.truth == 0
        point = judge_threshold(scores, positive, 0.4)
        curve, across, up, dot, _ = draw_operating_point(scores, positive, point).axes[0].lines
        x, y = float(dot.get_xdata()[0]), float(dot.get_ydata()[0])
        assert (x, y) == pytest.approx((1 - point.specificity, point.sensitivity))
        away = np.abs(np.stack(curve.get_data(), axis=1) - (x, y)).sum(axis=1)
        assert away.min() == pytest.approx(0, abs=1e-12)
        assert up.get_ydata().tolist() == [
            point.sensitivity_interval.low, point.sensitivity_interval.high,
        ]  # fmt: skip
        assert sorted(across.get_xdata()) == pytest.approx(
            [1 - point.specificity_interval.high, 1 - point.specificity_interval.low]
        )

    def test_a_cohort_of_one_kind_has_no_point(self):
        scores = np.array([0.2, 0.7])
        point = judge_threshold(scores, np.array([True, True]), 0.5)
        axes = draw_operating_point(scores, np.array([True, True]), point).axes[0]
        assert len(axes.lines) == 1  # the diagonal

    def test_shares_stand_under_their_headings_and_none_is_moved(self):
        rows = [
            NamedShare("a", 0.5, wilson(5, 10), "sex"),
            NamedShare("b", None, None, "sex"),
            NamedShare("c", 1.0, None, "age"),
        ]
        axes = draw_shares(rows, "right", 0.7).axes[0]
        assert [text.get_text() for text in axes.get_yticklabels()] == ["SEX", "a", "b", "AGE", "c"]
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [(d.get_xdata()[0], d.get_ydata()[0]) for d in dots] == [(0.5, 1), (1.0, 4)]

    def test_a_png_says_whose_figures_it_shows_and_is_the_same_every_time(self):
        figure = draw_confusion(measure(made()))
        first = to_png(figure, "here; split: test; n = 78")
        assert first.startswith(b"\x89PNG")
        assert figure.get_supxlabel() == "here; split: test; n = 78"
        assert to_png(draw_confusion(measure(made())), "here; split: test; n = 78") == first
