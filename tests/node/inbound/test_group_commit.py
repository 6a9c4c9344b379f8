"""Group commit: one go for all that wait, nobody forgotten, nobody waiting for company."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from groundglass.node.inbound.group_commit import GroupCommit
from made_work import eventually


class Slow:
    """Work whose first go waits to be let on."""

    def __init__(self) -> None:
        self.goes: list[list[int]] = []
        self.go_on = threading.Event()
        self.broken: Exception | None = None

    def __call__(self, given: Sequence[int]) -> list[int]:
        self.goes.append(list(given))
        assert self.go_on.wait(30)
        if self.broken is not None:
            raise self.broken
        return [10 * one for one in given]


def test_one_alone_goes_at_once() -> None:
    slow = Slow()
    slow.go_on.set()
    assert GroupCommit(slow)(1) == 10
    assert slow.goes == [[1]]


def test_what_comes_meanwhile_goes_together_and_each_gets_its_own() -> None:
    slow = Slow()
    commit = GroupCommit(slow)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(commit, 0)
        assert eventually(lambda: slow.goes)
        others = [pool.submit(commit, n) for n in range(1, 8)]
        assert eventually(lambda: len(commit._waiting) == 7)
        slow.go_on.set()
        assert first.result(30) == 0
        assert [one.result(30) for one in others] == [10 * n for n in range(1, 8)]
    assert [sorted(go) for go in slow.goes] == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_a_failure_is_everybodys_and_the_next_go_is_another() -> None:
    slow = Slow()
    slow.broken = OSError("a broken disk")
    commit = GroupCommit(slow)
    with ThreadPoolExecutor(4) as pool:
        pending = [pool.submit(commit, n) for n in range(4)]
        slow.go_on.set()
        for one in pending:
            with pytest.raises(OSError, match="a broken disk"):
                one.result(30)
    slow.broken = None
    assert commit(5) == 50


def test_nobody_is_forgotten_under_load() -> None:
    slow = Slow()
    slow.go_on.set()
    commit = GroupCommit(slow)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(commit, range(2000))) == [10 * n for n in range(2000)]
    assert sorted(one for go in slow.goes for one in go) == list(range(2000))
