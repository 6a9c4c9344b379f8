"""Peak memory of a study, each in a process of its own."""

from __future__ import annotations

from benchmarks.analysing import Order, analyse
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample, Target
from benchmarks.study_files import MadeStudy, made

_SMALLER, _LARGER, _MATRIX = 300, 600, 512


def section(bench: Bench) -> Section:
    """The rows of memory."""
    found = Section()
    peaks = {}
    for slices in (_SMALLER, _LARGER):
        study = made(MadeStudy(slices, _MATRIX), bench.studies)
        bench.tell(f"{slices} slices")
        (done,) = analyse(Order(bench.bundle, (str(study),)))
        peaks[slices] = done.peak_mb
        target = Target(1000) if slices == _LARGER else None
        what = f"peak resident memory, {slices} slices of {_MATRIX}², to the report"
        found.rows.append(Row(what, Sample((done.peak_mb,)), unit="MB", target=target))
    growth = growth_against_volume(peaks[_SMALLER], peaks[_LARGER])
    found.rows.append(
        Row(
            f"growth from {_SMALLER} to {_LARGER} slices, against that of the volume itself",
            Sample((growth,)),
            unit="×",
            target=Target(1),
            note="the volume is 2 bytes a voxel",
        )
    )
    return found


def growth_against_volume(smaller_mb: float, larger_mb: float) -> float:
    """By how many bytes memory grows for each byte the volume grows."""
    volume_mb = (_LARGER - _SMALLER) * _MATRIX**2 * 2 / 1e6
    return (larger_mb - smaller_mb) / volume_mb
