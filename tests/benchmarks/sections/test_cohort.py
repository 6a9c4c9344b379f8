"""A cohort's figures, by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.sections import cohort


def test_busy_is_processor_time_over_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "cores", lambda: 2)
    assert cohort.busy_share(9.0, 5.0) == pytest.approx(0.9)


def test_used_is_what_the_children_used() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass"
    cpu_s, wall_s = cohort.used_by(lambda: subprocess.run([sys.executable, "-c", code], check=True))
    assert cpu_s >= 0.2
    assert wall_s >= 0.2
    assert cohort.used_by(lambda: None)[0] == 0


def test_both_ways_have_their_rows_and_only_ours_has_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cohort, "cores", lambda: 2)
    rows = cohort.rows_of(24, (95.0, 50.0), (96.0, 80.0)).rows
    figures = [row.ours.median for row in rows if row.ours]
    assert figures == pytest.approx([95, 24 * 72, 95 / 24, 60, 24 * 45, 4])
    assert [row.met for row in rows] == [True, None, None, None, None, None]
