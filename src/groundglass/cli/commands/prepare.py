"""`groundglass prepare`: what the networks see, as PNG."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli import options
from groundglass.cli.console import Terminal, spinner
from groundglass.core.choices import DEFAULT_BUNDLE, Precision
from groundglass.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from groundglass.analyse.triage import Triage
    from groundglass.core.result import SliceRecord
    from groundglass.core.volume import Volume

_TABLE = "slices.csv"
_STAGES = {
    "segment": "Finding the lungs",
    "prepare": "Preparing the slices",
    "write": "Writing images",
}

_EPILOG = """[bold]Example[/bold]

  groundglass prepare incoming/ --out seen

[bold]Exit codes[/bold]  0 written · 1 could not be prepared, the reason is printed · 2 wrong use

The PNGs show the patient's images: treat them as patient data."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def prepare(
    source: options.Input,
    out: Annotated[
        Path,
        options.out_folder("Where the images go. Made if missing; must be empty."),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    precision: options.PrecisionOption = Precision.AUTO,
    hu_scale: options.HuScale = None,
    window: options.Window = None,
    spacing: options.Spacing = None,
    first_slice: options.FirstSlice = None,
    first_row: options.FirstRow = None,
    first_column: options.FirstColumn = None,
) -> None:
    """Write what the networks see of a study as PNG, with the lung masks beside it.

    DIR/segmenter has every slice as the lung segmenter sees it, DIR/lungs the mask of every slice,
    DIR/classifier the slices that stayed, and DIR/slices.csv says what became of each slice and
    why. Files are named by the slice's index in the volume, as in result.json.
    """
    stack = options.StackOptions(
        hu_scale, window, spacing, first_slice, first_row, first_column
    ).settings()
    import numpy as np

    from groundglass.analyse.study import open_chest_ct
    from groundglass.analyse.triage import Triage
    from groundglass.cli.observer import TerminalObserver, study_reader
    from groundglass.cli.output_folder import filling
    from groundglass.core.result import RESEARCH_USE_ONLY
    from groundglass.prepare import prepare as prepare_slices
    from groundglass.prepare import segmenter_images
    from groundglass.report.terms import STATUS_TERMS

    terminal = Terminal()
    with filling(out):
        with spinner("Loading the networks"):
            triage = Triage.load(bundle, precision)
        recipe = triage.bundle.recipe
        with TerminalObserver(terminal, out, _STAGES) as observer:
            volume = open_chest_ct(study_reader(source, stack), observer)
            observer.stage("segment")
            axial, turn = volume.to_axial()
            lungs = _lungs(triage, axial)
            observer.stage("prepare")
            prepared = prepare_slices(axial, lungs, recipe)
            observer.stage("write")
            as_read = [turn.inverse.apply_index(k, len(lungs)) for k in range(len(lungs))]
            for index, image, lung in zip(
                as_read, segmenter_images(axial, recipe), lungs, strict=True
            ):
                _write_png(out / "segmenter", index, image)
                _write_png(out / "lungs", index, lung.astype(np.uint8) * 255)
            for index, image in prepared.images.items():
                _write_png(out / "classifier", as_read[index], image)
            _write_table([replace(r, index=as_read[r.index]) for r in prepared.slices], out)
    terminal.heading("Prepared")
    for status, count in Counter(record.fate for record in prepared.slices).items():
        terminal.print(f"  {count} slices: {STATUS_TERMS[status].short}")
    groups = len(prepared.groups)
    terminal.print(f"  {groups} group{'s' if groups > 1 else ''} of {recipe.group_size}")
    terminal.print(f"  {out / _TABLE} says what became of each slice and why")
    terminal.print(RESEARCH_USE_ONLY, "bold yellow")


def _lungs(triage: Triage, axial: Volume) -> NDArray[np.bool_]:
    """The lung mask on the networks' square, if there is as much of it as a verdict needs."""
    found = triage.find_lungs(axial)
    least = triage.bundle.recipe.min_lung_ml
    if found.volume_ml < least:
        raise InputError(
            f"{found.volume_ml:.0f} ml that look like lung",
            expected=f"at least {least:.0f} ml",
            action="Give a CT that shows the lungs; there is nothing to prepare here.",
        )
    return found.square


def _write_png(folder: Path, index: int, image: NDArray[np.uint8]) -> None:
    import cv2

    folder.mkdir(exist_ok=True)
    (folder / f"{index:04d}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())


def _write_table(records: Sequence[SliceRecord], out: Path) -> None:
    """One row per slice, feet to head. Written last: where it is, the images are whole."""
    with (out / _TABLE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["index", "position_mm", "lung_area_mm2", "relative_area", "group", "fate", "reason"]
        )
        for record in records:
            table.writerow(
                [
                    record.index,
                    round(record.position_mm, 3),
                    round(record.lung_area_mm2, 1),
                    round(record.relative_area, 4),
                    *(record.groups or ("",)),
                    record.fate,
                    record.reason,
                ]
            )
