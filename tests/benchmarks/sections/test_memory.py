"""Growth of memory, by hand."""

from __future__ import annotations

import pytest
from benchmarks.sections.memory import growth_against_volume


def test_memory_that_grows_as_the_volume_grows_by_one() -> None:
    volume = 300 * 512 * 512 * 2 / 1e6
    assert growth_against_volume(500, 500 + volume) == pytest.approx(1.0)
