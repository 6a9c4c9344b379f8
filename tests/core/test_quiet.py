"""Warnings of libraries do not reach whoever called us, from any thread."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from groundglass.core.quiet import quietly


def test_filters_are_as_they_were_when_the_last_thread_has_left(
    recwarn: pytest.WarningsRecorder,
) -> None:
    before = list(warnings.filters)
    both_in, one_out = Barrier(2), Barrier(2)

    def leave_first() -> None:
        with quietly():
            both_in.wait()
        one_out.wait()

    def leave_last() -> None:
        with quietly():
            both_in.wait()
            one_out.wait()
            warnings.warn("Doe^John", UserWarning, stacklevel=1)

    with ThreadPoolExecutor(2) as pool:
        for task in [pool.submit(leave_first), pool.submit(leave_last)]:
            task.result()
    assert not recwarn
    assert list(warnings.filters) == before
    warnings.warn("told again", UserWarning, stacklevel=1)
    assert len(recwarn) == 1
