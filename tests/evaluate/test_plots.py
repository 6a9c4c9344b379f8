from __future__ import annotations

import sys

import numpy as np
import pytest
from made_predictions import made

from groundglass.errors import SettingsError
from groundglass.evaluate import measure, reliability
from groundglass.evaluate.metrics import Averaging
from groundglass.evaluate.plots import draw_calibration, draw_confusion, draw_roc


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SettingsError, match=r"pip install 'groundglass\[evaluate\]'"):
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
