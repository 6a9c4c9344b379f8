"""Elimination: the paper's two ratios, by patient coordinates."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from groundglass.core.result import SliceStatus
from groundglass.prepare import Recipe
from groundglass.prepare.elimination import eliminate

AREA = np.array([0.0, 50.0, 89.0, 90.0, 100.0, 60.0, 41.0, 39.0, 0.0])
POSITION = np.arange(9) * 5.0


def test_paper_ratios_decide_towards_head_and_feet() -> None:
    fates = [record.fate for record in eliminate(AREA, POSITION, Recipe())]
    kept = SliceStatus.KEPT
    head, feet = SliceStatus.ELIMINATED_HEADWARD, SliceStatus.ELIMINATED_FEETWARD
    none = SliceStatus.NO_LUNG
    assert fates == [none, feet, feet, kept, kept, kept, kept, head, none]


def test_order_of_the_array_does_not_matter() -> None:
    straight = {r.position_mm: r.fate for r in eliminate(AREA, POSITION, Recipe())}
    turned = {r.position_mm: r.fate for r in eliminate(AREA[::-1], POSITION[::-1], Recipe())}
    assert straight == turned


def test_a_recipe_may_leave_no_holes_between_judged_slices() -> None:
    """A dip in the area, as a wide dome makes it, is judged; what shows no lung cannot be."""
    area = np.array([95.0, 30.0, 100.0, 0.0, 60.0, 20.0])
    position = np.arange(6) * 5.0
    paper = [record.fate for record in eliminate(area, position, Recipe())]
    kept, feet, head = (
        SliceStatus.KEPT,
        SliceStatus.ELIMINATED_FEETWARD,
        SliceStatus.ELIMINATED_HEADWARD,
    )
    assert paper == [kept, feet, kept, SliceStatus.NO_LUNG, kept, head]
    whole = eliminate(area, position, Recipe(judge_between=True))
    assert [record.fate for record in whole] == [kept, kept, *paper[2:]]
    assert "between judged slices" in whole[1].reason
    assert whole[0] == eliminate(area, position, Recipe())[0]


@given(
    st.lists(st.floats(0, 1e5), min_size=1, max_size=40),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_the_largest_slice_stays_and_stricter_ratios_never_keep_more(
    areas: list[float], low: float, high: float
) -> None:
    low, high = sorted((low, high))
    area, position = np.array(areas), np.arange(len(areas)) * 2.0
    loose = eliminate(area, position, Recipe(headward_ratio=low, feetward_ratio=low))
    strict = eliminate(area, position, Recipe(headward_ratio=high, feetward_ratio=high))
    kept_loose = {r.index for r in loose if r.fate is SliceStatus.KEPT}
    kept_strict = {r.index for r in strict if r.fate is SliceStatus.KEPT}
    assert kept_strict <= kept_loose
    if area.max() > 0:
        assert int(area.argmax()) in kept_strict


def test_every_reason_names_share_and_limit() -> None:
    records = eliminate(AREA, POSITION, Recipe())
    assert records[2].reason == "0.89 of the largest lung area, under the feetward limit 0.90"
    assert records[0].reason == "no lung in this slice"


def test_records_say_what_was_measured() -> None:
    for order in (slice(None), slice(None, None, -1)):
        records = eliminate(AREA[order], POSITION[order], Recipe())
        assert [record.index for record in records] == list(range(9))
        assert [record.position_mm for record in records] == POSITION[order].tolist()
        assert [record.lung_area_mm2 for record in records] == AREA[order].tolist()
        assert [record.relative_area for record in records] == (AREA[order] / 100).tolist()


def test_without_any_lung_every_slice_says_so() -> None:
    records = eliminate(np.zeros(3), np.arange(3.0), Recipe(headward_ratio=0, feetward_ratio=0))
    found = {(record.fate, record.relative_area) for record in records}
    assert found == {(SliceStatus.NO_LUNG, 0.0)}
