"""What sections work out of their runs, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.analysing import order_of, peak_mb
from benchmarks.classifier import same_network
from benchmarks.made_studies import MadeStudy, made, read
from benchmarks.masks import dice, for_study
from benchmarks.memory import growth_against_volume
from benchmarks.rows import Bench
from benchmarks.samples import Pairs, Sample, Target
from benchmarks.scaling import Point, in_words, picture
from pydicom import dcmread

from benchmarks import cohort, machine
from groundglass.serve.estimate import CostModel

MODEL = CostModel(0.5, 0.01, 0.04, 0.02)


def test_peak_memory_is_read_as_linux_tells_it() -> None:
    assert peak_mb("Name:\tpython\nVmHWM:\t  1000 kB\nVmRSS:\t 900 kB\n") == 1.024
    assert np.isnan(peak_mb("Name:\tpython\n"))


def test_memory_that_grows_as_the_volume_grows_by_one() -> None:
    volume = 300 * 512 * 512 * 2 / 1e6
    assert growth_against_volume(500, 500 + volume) == pytest.approx(1.0)


def test_busy_is_processor_time_over_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "cores", lambda: 2)
    assert cohort.busy_share(9.0, 5.0) == pytest.approx(0.9)


def test_the_peer_is_given_a_part_of_the_study() -> None:
    pairs = for_study(Pairs(Sample((1.0,)), Sample((10.0,))), 50)
    assert pairs.ratio.median == pytest.approx(100)


def test_dice_is_twice_the_overlap_over_the_sum() -> None:
    one, other = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 1], bool)
    assert dice(one, other) == pytest.approx(2 / 5)
    assert dice(one, one) == 1.0
    assert dice(one & ~one, one & ~one) == 1.0


def test_another_network_does_not_pass_for_ours() -> None:
    assert same_network([1.0, 2.0], [1.0, 2.001]).startswith("the same network")
    assert same_network([1.0, 2.0], [1.0, 3.0]).startswith("**not")


def test_an_order_survives_the_way_to_its_process() -> None:
    text = json.dumps({"bundle": "b", "studies": ["a", "b"], "report": False, "cores": 1})
    assert order_of(text).studies == ("a", "b")


def test_instruction_sets_are_those_that_matter() -> None:
    assert machine.telling_flags("sse avx2 fma avx512f xsave") == ["avx2", "fma", "avx512f"]
    assert machine.threads_a_core("siblings\t: 4\ncpu cores\t: 2\n") == 2.0
    assert machine.threads_a_core("nothing") is None


def test_a_made_study_reads_the_same_compressed_and_is_made_once(tmp_path: Path) -> None:
    plain = made(MadeStudy(13, 160), tmp_path)
    packed = made(MadeStudy(13, 160, compressed=True), tmp_path)
    assert dcmread(packed / "CT0001.dcm").file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert np.array_equal(read(plain).hu, read(packed).hu)
    written = (plain / "CT0001.dcm").stat().st_mtime_ns
    made(MadeStudy(13, 160), tmp_path)
    assert (plain / "CT0001.dcm").stat().st_mtime_ns == written


def test_the_cost_model_is_told_in_words() -> None:
    assert in_words(MODEL) == (
        "0.50 s a study, 10.0 ms a slice, 40.0 ms a million pixels, "
        "20.0 ms more where they are compressed."
    )


def test_the_picture_is_a_png_of_every_kind_of_point() -> None:
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    studies = [MadeStudy(n, m, c) for n in (13, 100) for m in (256, 512) for c in (False, True)]
    points = [Point(s, 2, MODEL.predict(Point(s, 2, 1.0).observation.size)) for s in studies]
    points.append(Point(MadeStudy(100), 1, 9.0))
    assert picture(points, MODEL).startswith(b"\x89PNG")


def test_a_peer_that_is_not_there_is_a_row_with_the_reason(tmp_path: Path) -> None:
    from benchmarks.classifier import Beside, _row  # noqa: PLC0415

    bench = Bench("demonstration", "/nowhere/python", tmp_path, tmp_path, pairs=1)
    beside = Beside("a group", "torch_gpu", {}, Target(20, at_least=True, of="ratio"), note="known")
    row = _row(bench, beside, (lambda: 1.0, [0.0]))
    assert row.ours is None
    assert row.met is None
    assert row.note.startswith("not measured: /nowhere/python: No such file")
    assert row.note.endswith("; known")
