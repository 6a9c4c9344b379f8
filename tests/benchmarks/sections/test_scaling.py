"""The cost model in words and as a picture."""

from __future__ import annotations

import pytest
from benchmarks.sections.scaling import Point, in_words, picture
from benchmarks.study_files import MadeStudy

from groundglass.node.queue.estimate import CostModel

MODEL = CostModel(0.5, 0.01, 0.03, 0.04, 0.02)


def test_the_cost_model_is_told_in_words() -> None:
    assert in_words(MODEL) == (
        "0.50 s a study, 10.0 ms a slice, 30.0 ms more where it is segmented, "
        "40.0 ms a million pixels, "
        "20.0 ms more where they are compressed."
    )


def test_the_picture_is_a_png_of_every_kind_of_point() -> None:
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    studies = [MadeStudy(n, m, c) for n in (13, 100) for m in (256, 512) for c in (False, True)]
    points = [Point(s, 2, MODEL.predict(Point(s, 2, 1.0).observation.size)) for s in studies]
    points.append(Point(MadeStudy(100), 1, 9.0))
    assert picture(points, MODEL).startswith(b"\x89PNG")
