"""Rows of the classifier: the same network, and a peer that is not there."""

from __future__ import annotations

from pathlib import Path

from benchmarks.classifier import Beside, _row, same_network
from benchmarks.rows import Bench
from benchmarks.samples import Target


def test_another_network_does_not_pass_for_ours() -> None:
    assert same_network([1.0, 2.0], [1.0, 2.001]).startswith("the same network")
    assert same_network([1.0, 2.0], [1.0, 3.0]).startswith("**not")


def test_a_peer_that_is_not_there_is_a_row_with_the_reason(tmp_path: Path) -> None:
    bench = Bench("demonstration", "/nowhere/python", tmp_path, tmp_path, pairs=1)
    beside = Beside("a group", "torch_gpu", {}, Target(20, at_least=True, of="ratio"), note="known")
    row = _row(bench, beside, (lambda: 1.0, [0.0]))
    assert row.ours is None
    assert row.met is None
    assert row.note.startswith("not measured: /nowhere/python: No such file")
    assert row.note.endswith("; known")
