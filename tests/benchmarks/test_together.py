"""Cores are tried together and alone, each by a process that stays on it."""

from __future__ import annotations

import pytest

from benchmarks import together


def test_speeds_of_all_add_up_beside_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def speeds(cores: list[int]) -> list[float]:
        asked.append(len(cores))
        return [10.0] if len(cores) == 1 else [6.0] * len(cores)

    monkeypatch.setattr(together.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(together, "_speeds", speeds)
    assert together.cores_together(2).values == (1.2, 1.2)
    assert asked == [2, 1, 2, 1]


def test_a_process_multiplies_on_its_core() -> None:
    (speed,) = together._speeds([min(together.os.sched_getaffinity(0))])
    assert speed > 0
