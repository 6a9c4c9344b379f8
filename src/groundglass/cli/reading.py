"""From an input to its chest CT volume, telling what was chosen and what was passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from groundglass.cli.console import Terminal, progress_bar
from groundglass.core.study import Rejection, Series, Study
from groundglass.core.volume import Volume
from groundglass.errors import ReadError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.image_stack.stack import UNSTATED, ImageStackSettings
from groundglass.read.reading import Progress

_SHOWN_REASONS = 10
_STACK_OPTIONS = "--hu-scale or --window, --spacing, --first-slice, --first-row and --first-column"


def read(source: Path, stack: ImageStackSettings | None, terminal: Terminal) -> Volume:
    """Read, choose and decode.

    Parameters
    ----------
    source : Path
        Folder, archive or file.
    stack : ImageStackSettings or None
        What PNG, JPEG or TIFF images mean.
    terminal : Terminal
        Told each choice with its reason.

    Raises
    ------
    InputError
        There is no chest CT in it that can be analysed.
    """
    with progress_bar("Reading headers") as progress:
        study = _read_study(source, stack, progress)
    tell_files(study.rejected, terminal)
    series = select_chest_ct(study)
    _tell_choice(study, series, terminal)
    with progress_bar("Decoding slices") as progress:
        volume = read_volume(series, progress=progress)
    terminal.heading("Volume")
    terminal.print(f"  {_in_mm(volume)}")
    for note in volume.notes:
        terminal.print(f"  {note}")
    return volume


def _read_study(source: Path, stack: ImageStackSettings | None, progress: Progress) -> Study:
    """`read_study`; a refusal for want of `ImageStackSettings` names the options that give them."""
    try:
        return read_study(source, stack=stack, progress=progress)
    except ReadError as error:
        if UNSTATED not in error.found:
            raise
        action = f"{error.action} PNG, JPEG or TIFF images need {_STACK_OPTIONS}."
        raise ReadError(error.found, expected=error.expected, action=action) from error


def _tell_choice(study: Study, series: Series, terminal: Terminal) -> None:
    terminal.heading("Chosen")
    terminal.print(f"  {series.selection_reason}")
    passed_over = series.rejected[: len(series.rejected) - len(study.rejected)]
    if passed_over:
        terminal.heading("Series not taken")
        for rejection in passed_over:
            terminal.print(f"  {rejection.what}: {rejection.reason}")


def tell_files(rejected: Sequence[Rejection], terminal: Terminal) -> None:
    """How many files were set aside for which reason, if any were; not their names."""
    if not rejected:
        return
    reasons = Counter(rejection.reason for rejection in rejected).most_common()
    terminal.heading(f"Files set aside: {len(rejected)}")
    for reason, count in reasons[:_SHOWN_REASONS]:
        terminal.print(f"  {count} × {reason}")
    if len(reasons) > _SHOWN_REASONS:
        rest = sum(count for _, count in reasons[_SHOWN_REASONS:])
        terminal.print(f"  {rest} × other reasons")


def _in_mm(volume: Volume) -> str:
    slices, rows, columns = volume.geometry.shape
    height, depth, width = volume.geometry.spacing_mm
    return (
        f"{slices} slices of {rows}×{columns}, "
        f"{depth:.2f}×{width:.2f} mm pixels, {height:.2f} mm apart"
    )
