"""Time against slices, sizes and cores, and the cost model fitted to them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.analysing import Order, analyse
from benchmarks.machine import cores
from benchmarks.rows import Bench, Row, Section, table
from benchmarks.samples import Sample, Target
from benchmarks.study_files import MadeStudy, made
from groundglass.node.queue.estimate import (
    TWO_CORES,
    CostModel,
    Observation,
    StudySize,
)

_SLICES = (13, 50, 100, 200, 300, 600, 1000)
#: Other kinds of study the cost model is to know.
_OTHERS = (
    MadeStudy(50, compressed=True),
    MadeStudy(100, compressed=True),
    MadeStudy(300, compressed=True),
    MadeStudy(100, 256),
    MadeStudy(300, 256),
    MadeStudy(50, 768),
    MadeStudy(100, 768),
)
#: What one core alone is timed with.
_ON_ONE_CORE = (13, 50, 100, 300)
#: Times each study is run; the least disturbed run counts.
_TIMES = 4


@dataclass(frozen=True, slots=True)
class Point:
    """One study's time from files to report, with so many cores."""

    study: MadeStudy
    cores: int
    seconds: float

    @property
    def observation(self) -> Observation:
        """For the cost model."""
        one = self.study
        return Observation(
            StudySize(one.slices, one.matrix, one.matrix, one.compressed), self.seconds
        )


def left_out_errors(model: CostModel, observations: Sequence[Observation]) -> tuple[float, ...]:
    """For each observation, by what share a model fitted to the others misses it; signed."""
    errors = []
    for k, one in enumerate(observations):
        others = [*observations[:k], *observations[k + 1 :]]
        errors.append(model.fitted(others).predict(one.size) / one.seconds - 1)
    return tuple(errors)


def section(bench: Bench) -> Section:
    """Table, picture and cost model."""
    found = Section()
    all_cores = _timed(bench, [*(MadeStudy(n) for n in _SLICES), *_OTHERS], 0)
    one_core = _timed(bench, [MadeStudy(n) for n in _ON_ONE_CORE], 1) if cores() > 1 else []
    observations = [point.observation for point in all_cores]
    model = TWO_CORES.fitted(observations)
    errors = left_out_errors(TWO_CORES, observations)
    worst = 100 * max(abs(error) for error in errors)
    note = "each study predicted by a model fitted to all others; median "
    note += f"{100 * np.median(np.abs(errors)):.0f} %"
    what = "cost model: largest error of a predicted duration"
    found.rows.append(Row(what, Sample((worst,)), unit="%", target=Target(20), note=note))
    found.text += [
        _table(all_cores, errors),
        _cores_table(all_cores, one_core),
        "Cost model of this machine: " + in_words(model),
    ]
    found.pictures["scaling.png"] = picture([*all_cores, *one_core], model)
    found.data = {
        "model": asdict(model),
        "points": [
            {**asdict(p.study), "cores": p.cores, "seconds": p.seconds}
            for p in [*all_cores, *one_core]
        ],
        "left out errors": list(errors),
    }
    return found


def _timed(bench: Bench, studies: list[MadeStudy], at_most: int) -> list[Point]:
    """Each study's time, all in one process that has analysed something before."""
    folders = []
    for one in studies:
        bench.tell(f"making or finding {one.words}")
        folders.append(str(made(one, bench.studies)))
    # The next time comes long after the last, so that one disturbance seldom meets all.
    order = list(range(len(studies))) * _TIMES
    bench.tell(f"{len(order)} studies, {at_most or 'all'} cores")
    run = Order(bench.bundle, (folders[0], *(folders[k] for k in order)), cores=at_most)
    done = [one.seconds for one in analyse(run)[1:]]
    best = {k: min(s for j, s in zip(order, done, strict=True) if j == k) for k in order}
    return [Point(one, at_most or cores(), best[k]) for k, one in enumerate(studies)]


def _table(points: list[Point], errors: tuple[float, ...]) -> str:
    lines = [
        [
            point.study.words,
            f"{point.seconds:.2f}",
            f"{1000 * point.seconds / point.study.slices:.0f}",
            f"{point.seconds * (1 + error):.2f}",
            f"{100 * error:+.0f} %",
        ]
        for point, error in zip(points, errors, strict=True)
    ]
    return table(["study", "s", "ms a slice", "predicted by the others, s", "error"], lines)


def _cores_table(several: list[Point], one: list[Point]) -> str:
    by_study = {point.study: point for point in several}
    lines = [
        [
            point.study.words,
            f"{point.seconds:.2f}",
            f"{by_study[point.study].seconds:.2f}",
            f"{point.seconds / by_study[point.study].seconds:.2f}×",
        ]
        for point in one
    ]
    return table(["study", "1 core, s", f"{cores()} cores, s", "faster"], lines)


def in_words(model: CostModel) -> str:
    """Its coefficients for people."""
    return (
        f"{model.study_s:.2f} s a study, {1000 * model.slice_s:.1f} ms a slice, "
        f"{1000 * model.segmented_s:.1f} ms more where it is segmented, "
        f"{1000 * model.megapixel_s:.1f} ms a million pixels, "
        f"{1000 * model.decoding_s:.1f} ms more where they are compressed."
    )


def picture(points: list[Point], model: CostModel) -> bytes:
    """Left: time against slices of 512². Right: how far the model is off."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (an extra)

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    most = max(point.cores for point in points)
    series = {
        f"{most} cores, uncompressed": (most, False, "o", "C0"),
        f"{most} cores, JPEG Lossless": (most, True, "s", "C1"),
        "1 core, uncompressed": (1, False, "^", "C2"),
    }
    for label, (count, compressed, marker, colour) in series.items():
        drawn = sorted(
            (point.study.slices, point.seconds)
            for point in points
            if (point.cores, point.study.compressed) == (count, compressed)
            and point.study.matrix == 512
        )
        if drawn:
            left.plot(*zip(*drawn, strict=True), marker, color=colour, label=label)
    slices = np.arange(1, 1001)
    for compressed, colour in ((False, "C0"), (True, "C1")):
        line = [model.predict(StudySize(int(n), 512, 512, compressed)) for n in slices]
        left.plot(slices, line, color=colour, lw=1)
    left.set(xlabel="slices of 512×512", ylabel="s, from files to report", xlim=(0, None))
    left.set_ylim(0, None)
    left.legend(frameon=False)
    left.set_title("points: measured · lines: cost model", fontsize=10)
    _errors(right, [point for point in points if point.cores == most], model)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    return held.getvalue()


def _errors(axes: Any, points: list[Point], model: CostModel) -> None:
    for point in points:
        one = point.observation
        colour = "C1" if point.study.compressed else "C0"
        marker = {256: "v", 512: "o", 768: "D"}.get(point.study.matrix, "x")
        error = 100 * (model.predict(one.size) / one.seconds - 1)
        axes.plot(point.study.slices, error, marker, color=colour)
    axes.axhspan(-20, 20, color="0.9", zorder=0)
    axes.set(xscale="log", xlabel="slices", ylabel="predicted − measured, %")
    axes.set_title("▾ 256²  ● 512²  ◆ 768²; orange: JPEG Lossless; band: ±20 %", fontsize=10)
