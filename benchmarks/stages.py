"""Where the time of a study goes."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import groundglass as gg
from groundglass.infer import Bundle, OpenVinoEngine
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from groundglass.pipeline import Triage


def stage_table(bundle: Bundle, runs: int) -> str:
    """Median wall time of each stage, from files on disk to the written report, as Markdown."""
    settings = PhantomSettings(label="CP", seed=7, slice_count=100, slice_spacing_mm=3.0)
    triage = Triage(bundle, OpenVinoEngine())
    with TemporaryDirectory() as folder:
        write_dicom_series(make_phantom(settings), Path(folder) / "study")
        measured = [_once(triage, Path(folder)) for _ in range(runs)]
    rows = [
        f"| {name} | {median(one[name] for one in measured):.0f} | "
        f"{min(one[name] for one in measured):.0f}-{max(one[name] for one in measured):.0f} |"
        for name in measured[0]
    ]
    return "\n".join(["| stage | median ms | range |", "|---|---|---|", *rows])


def _once(triage: Triage, folder: Path) -> dict[str, float]:
    begin = perf_counter()
    volume = gg.read_volume(gg.select_chest_ct(gg.read_study(folder / "study")))
    read = perf_counter()
    result = triage(volume)
    judged = perf_counter()
    gg.write_report(result, volume, folder / "report")
    end = perf_counter()
    return {
        "read": (read - begin) * 1000,
        **result.timings_ms,
        "report": (end - judged) * 1000,
        "study to report": (end - begin) * 1000,
    }
