"""Every index is done, and an error in one is not lost."""

from __future__ import annotations

import pytest

from groundglass.prepare.threads import for_each


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
def test_every_index_is_done_once(count: int) -> None:
    done: list[int] = []
    for_each(done.append, range(3, 3 + count))
    assert sorted(done) == list(range(3, 3 + count))


def test_an_error_is_raised() -> None:
    def work(index: int) -> None:
        if index == 7:
            raise ValueError("seven")

    with pytest.raises(ValueError, match="seven"):
        for_each(work, range(10))
