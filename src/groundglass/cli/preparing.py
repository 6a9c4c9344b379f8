"""The whole of `groundglass prepare`: read, find the lungs, prepare, write images and a table."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.analyse.triage import Triage
from groundglass.cli.analysing import Request
from groundglass.cli.console import Terminal, spinner, stage_bar
from groundglass.cli.reading import read
from groundglass.cli.writing import filling
from groundglass.core.geometry import Reorientation
from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.core.volume import Volume
from groundglass.errors import InputError
from groundglass.infer import Precision
from groundglass.prepare import PreparedStudy, prepare, segmenter_images
from groundglass.report.terms import STATUS_TERMS

_TABLE = "slices.csv"
_STAGES = {
    "segment": "Finding the lungs",
    "prepare": "Preparing the slices",
    "write": "Writing images",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the networks see of an axial volume.

    Parameters
    ----------
    segmenter : ndarray of uint8, shape (slices, size, size)
        Every slice as the lung segmenter sees it.
    lungs : ndarray of bool, same shape
        The lung mask.
    study : PreparedStudy
        The classifier's images and every slice's fate.
    turn : Reorientation
        From the volume as read to the axial one.
    """

    segmenter: NDArray[np.uint8]
    lungs: NDArray[np.bool_]
    study: PreparedStudy
    turn: Reorientation

    def index_as_read(self, index: int) -> int:
        """The index in the volume as read, which result.json uses."""
        return self.turn.inverse_index(index, len(self.lungs))


def write_prepared(request: Request) -> None:
    """Write what the networks see of a study.

    Parameters
    ----------
    request : Request
        What to prepare and where to write it.

    Raises
    ------
    GroundglassError
        The input, the weights or the folder are not usable, or there is no lung.
    """
    terminal = Terminal()
    with filling(request.out):
        with spinner("Loading the networks"):
            triage = Triage.load(request.bundle, Precision(request.precision))
        volume = read(request.source, request.stack, terminal)
        with stage_bar(_STAGES) as begin:
            begin("segment")
            axial, turn = volume.to_axial()
            lungs = _lungs(triage, axial)
            begin("prepare")
            recipe = triage.bundle.recipe
            seen = _Seen(
                segmenter_images(axial, recipe), lungs, prepare(axial, lungs, recipe), turn
            )
            begin("write")
            _write(seen, request.out)
    terminal.heading("Prepared")
    for fate, count in Counter(record.fate for record in seen.study.slices).items():
        terminal.print(f"  {count} slices: {STATUS_TERMS[fate].short}")
    groups = len(seen.study.groups)
    terminal.print(f"  {groups} group{'s' if groups > 1 else ''} of {recipe.group_size}")
    terminal.print(f"  {request.out / _TABLE} says what became of each slice and why")
    terminal.print(RESEARCH_USE_ONLY, "bold yellow")


def _lungs(triage: Triage, axial: Volume) -> NDArray[np.bool_]:
    """The lung mask, if there is as much of it as a verdict needs."""
    found = triage.find_lungs(axial)
    least = triage.bundle.recipe.min_lung_ml
    if found.volume_ml < least:
        raise InputError(
            f"{found.volume_ml:.0f} ml that look like lung",
            expected=f"at least {least:.0f} ml",
            action="Give a CT that shows the lungs; there is nothing to prepare here.",
        )
    return found.square


def _write(seen: _Seen, out: Path) -> None:
    for index, (image, mask) in enumerate(zip(seen.segmenter, seen.lungs, strict=True)):
        name = _name(seen, index)
        _write_png(out / "segmenter" / name, image)
        _write_png(out / "lungs" / name, mask.astype(np.uint8) * 255)
    for index, image in seen.study.images.items():
        _write_png(out / "classifier" / _name(seen, index), image)
    _write_table(seen, out / _TABLE)


def _name(seen: _Seen, index: int) -> str:
    return f"{seen.index_as_read(index):04d}.png"


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def _write_table(seen: _Seen, path: Path) -> None:
    """One row per slice, feet to head. Written last: where it is, the images are whole."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["index", "position_mm", "lung_area_mm2", "relative_area", "group", "fate", "reason"]
        )
        for record in seen.study.slices:
            table.writerow(
                [
                    seen.index_as_read(record.index),
                    round(record.position_mm, 3),
                    round(record.lung_area_mm2, 1),
                    round(record.relative_area, 4),
                    *(record.groups or ("",)),
                    record.fate,
                    record.reason,
                ]
            )
