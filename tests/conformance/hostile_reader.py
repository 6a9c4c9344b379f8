"""Reads each file of a folder with memory and time bounded, and prints one line for each.

Run by test_hostile_dicom in a process of its own: python hostile_reader.py FOLDER MEGABYTES
"""

from __future__ import annotations

import json
import resource
import sys
import tracemalloc
from pathlib import Path

from groundglass.errors import GroundglassError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.dicom.frames import frames_of
from groundglass.read.dicom.pixels.frame_reader import FrameReader
from groundglass.read.image_stack.settings import HounsfieldScale, ImageStackSettings

_STACK = ImageStackSettings(HounsfieldScale(), (5.0, 1.0, 1.0), "feet", "front", "right")


def attempt(path: Path) -> str:
    """How reading ended: a reason, or that there was nothing wrong."""
    try:
        study = read_study(path, stack=_STACK)
        for series in study.series:
            sampled = frames_of(series.instances[0])[:3] if series.modality else ()
            with FrameReader() as reader:  # one slice is no volume, but its pixels are to be tried
                for frame in sampled:
                    reader.read(frame.instance, frame.number)
            read_volume(series)
        select_chest_ct(study)
    except GroundglassError as error:
        parts = (error.found, error.expected, error.action)
        return f"{type(error).__name__}: {error}" if all(parts) else "a reason without its parts"
    return "read"


def main(folder: Path, megabytes: int) -> None:
    """One JSON line per file."""
    attempt(folder / "warm-up")  # libraries are loaded before memory is counted
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for path in sorted(folder.iterdir()):
        tracemalloc.start()
        ending = attempt(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        sys.stdout.write(json.dumps([path.name, ending, peak]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
