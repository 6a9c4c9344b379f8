"""Statistics of the heat maps' benchmark."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="the benchmark shuffles weights of ONNX files")

from benchmarks.explanations import of_all_spans


def test_patients_count_by_how_far_their_score_rests_on_the_slices() -> None:
    """A mean of quotients would be -33: that of the patient whose span is next to nothing."""
    said = of_all_spans([0.5, 1.0, -1.0], [1.0, 2.0, 0.01])
    assert float(said.split()[0]) == pytest.approx(0.5 / 3.01, abs=1e-3)
    low, high = (float(word.strip("()")) for word in said.split()[1::2])
    assert low < 0.5 / 3.01 < high


def test_patients_alike_leave_no_doubt() -> None:
    assert of_all_spans([1.0, 1.0], [4.0, 4.0]) == "0.250 (0.250 to 0.250)"
