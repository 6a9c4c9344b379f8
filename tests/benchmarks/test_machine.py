"""What the machine says of itself, told as it matters."""

from __future__ import annotations

from benchmarks import machine


def test_instruction_sets_are_those_that_matter() -> None:
    assert machine.telling_flags("sse avx2 fma avx512f xsave") == ["avx2", "fma", "avx512f"]
    assert machine.threads_a_core("siblings\t: 4\ncpu cores\t: 2\n") == 2.0
    assert machine.threads_a_core("nothing") is None
