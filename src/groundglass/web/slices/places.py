"""Which image of a study is which slice of the volume that was judged.

Found by reading every header and choosing as the analysis did, once: the answer lies beside the
report from then on, so that a study of any size opens as fast as one slice is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundglass.core.atomic_files import write_whole
from groundglass.core.geometry import Geometry
from groundglass.errors import ReadError
from groundglass.read import select_chest_ct
from groundglass.read.dicom.frames import Frame, frames_in, frames_of
from groundglass.read.dicom.headers.header import read_header
from groundglass.read.dicom.stacks.grid import AssemblySettings, lay_out
from groundglass.read.reading import read_entries
from groundglass.read.sources import Entry, Sources
from groundglass.report.writing import MANIFEST
from groundglass.web.slices.tasks import StudySource

#: Beside the report's folder, in that of the attempt.
_KEPT_AS = "slices.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slice's image lies."""

    file: Path
    number: int
    """Its frame, from 1."""

    def frame(self) -> Frame:
        """The image with its header, read anew.

        Raises
        ------
        ReadError
            It cannot be read any more.
        """
        with Sources() as sources:
            return frames_of(read_header(_entry(self.file), sources))[self.number - 1]


@dataclass(frozen=True, slots=True)
class Places:
    """The images of a volume."""

    slices: tuple[Place, ...]
    """In the volume's order."""
    geometry: Geometry
    """The volume's."""


def places_of(source: StudySource) -> Places:
    """The images of the volume that a report is about.

    Raises
    ------
    ReadError
        The images are not those that were judged.
    """
    document = json.loads((source.report / MANIFEST).read_text("utf-8"))
    geometry = _geometry(document["geometry"])
    kept = source.report.parent / _KEPT_AS
    slices = _kept(kept, source.files)
    if slices is None:
        slices = _found(source.files, document["input"]["series_instance_uid"], geometry)
        with suppress(OSError):  # a disk without room: found again next time
            write_whole(kept, json.dumps([[one.file.name, one.number] for one in slices]))
    return Places(slices, geometry)


def _kept(kept: Path, files: Sequence[Path]) -> tuple[Place, ...] | None:
    """What was found before; None where nothing was, or of other files."""
    by_name = {path.name: path for path in files}
    try:
        listed = json.loads(kept.read_text("utf-8"))
        return tuple(Place(by_name[name], int(number)) for name, number in listed)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _found(files: Sequence[Path], series_instance_uid: str, judged: Geometry) -> tuple[Place, ...]:
    series = select_chest_ct(read_entries([_entry(path) for path in files]))
    grid = lay_out(frames_in(series.instances), AssemblySettings())
    if series.series_instance_uid != series_instance_uid or grid.geometry.shape != judged.shape:
        raise ReadError(
            "other images than those that were judged",
            expected="the files as they were",
            action="Have the study analysed again.",
        )
    return tuple(Place(frame.instance.path, frame.number) for frame in grid.frames)


def _entry(path: Path) -> Entry:
    return Entry(path, None, path.name, path.stat().st_size)


def _geometry(stated: Mapping[str, Any]) -> Geometry:
    slices, rows, columns = stated["shape"]
    directions = tuple(tuple(one) for one in stated["directions"])
    return Geometry(
        (slices, rows, columns),
        tuple(stated["spacing_mm"]),
        tuple(stated["origin_mm"]),
        directions,  # type: ignore[arg-type]  # Geometry checks what it is given
    )
