"""How busy the cores were, by hand."""

from __future__ import annotations

import pytest

from benchmarks import cohort


def test_busy_is_processor_time_over_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "cores", lambda: 2)
    assert cohort.busy_share(9.0, 5.0) == pytest.approx(0.9)
