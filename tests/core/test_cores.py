"""Held to one core, a process starts no more threads than that."""

from __future__ import annotations

import os

import pytest

from groundglass.core.cores import usable_cores


def test_all_cores_are_ours_unless_we_are_held_to_some() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system holds no process to some cores")
    before = os.sched_getaffinity(0)
    assert set(usable_cores()) == before
    try:
        os.sched_setaffinity(0, {max(before)})
        assert usable_cores() == (max(before),)
    finally:
        os.sched_setaffinity(0, before)


def test_a_system_that_does_not_tell_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == (0, 1, 2)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == (0,)
