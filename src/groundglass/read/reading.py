"""Files → Study: every file read by its header, sorted into series, or given a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from groundglass.core.cores import usable_cores
from groundglass.core.quiet import quietly
from groundglass.core.study import Instance, Rejection, Series, SourceKind, Study
from groundglass.errors import ReadError
from groundglass.read.dicom.frames import series_number
from groundglass.read.format import Format, FoundFiles, Place, Progress
from groundglass.read.formats import FORMATS, format_of
from groundglass.read.image_stack.settings import ImageStackSettings
from groundglass.read.sources import (
    FIRST_LOOK,
    DamagedFile,
    Entry,
    Sources,
    UnreadableMember,
    list_entries,
)
from groundglass.read.unread import why_unread

#: Threads that read headers: enough to hide the latency of a network drive.
READERS = min(8, 2 + len(usable_cores()))
_SHOWN_REASONS = 5


def read_study(
    path: str | Path,
    *,
    stack: ImageStackSettings | None = None,
    progress: Progress | None = None,
) -> Study:
    """Read every file of an input by its header and sort them into series.

    Pixels stay where they are until `read_volume`. What a file is, its content says; names and
    nesting mean nothing, and the order of the files changes nothing.

    Parameters
    ----------
    path : str or Path
        A folder, a zip archive, or one file: DICOM (classic or multi-frame), NIfTI,
        MetaImage, PNG, JPEG or TIFF.
    stack : ImageStackSettings, optional
        Scale, spacing and orientation of PNG, JPEG or TIFF images. Without it they are passed over.
    progress : callable, optional
        Called with (files done, files in all).

    Returns
    -------
    Study
        The series found, and each unused file with its reason.

    Raises
    ------
    ReadError
        No file could be used, or a zip archive is damaged: it is believed whole or not at all.
    """
    return read_entries(*list_entries(Path(path)), stack=stack, progress=progress)


def read_entries(
    entries: Sequence[Entry],
    set_aside: Sequence[Rejection] = (),
    *,
    stack: ImageStackSettings | None = None,
    progress: Progress | None = None,
) -> Study:
    """`read_study` of files that have been listed, and of what listing them left out."""
    rejected = list(set_aside)
    with Sources() as sources, quietly():  # each damaged file has its reason in the result
        found: list[tuple[Format, Instance] | ReadError] = []
        with ThreadPoolExecutor(READERS) as pool:
            for read in pool.map(lambda entry: _read_one(entry, sources), entries):
                found.append(read)
                if progress is not None:
                    progress(len(found), len(entries))
        by_file = list(zip(entries, found, strict=True))
        damaged = [(entry, read) for entry, read in by_file if isinstance(read, ReadError)]
        refuse_damaged_archives(entries, damaged)
        files = [(entry.name, read) for entry, read in by_file if not isinstance(read, ReadError)]
        there = {instance.sop_instance_uid for _, (_, instance) in files}
        rejected += [
            Rejection(entry.name, str(error), _missing_from(error, there))
            for entry, error in damaged
        ]
        unread = [entry.name for entry, _ in damaged]
        series: list[Series] = []
        used: set[Place] = set()
        for one in FORMATS:
            own = [(name, instance) for name, (its, instance) in files if its is one]
            made = one.sort(FoundFiles(own, unread, stack, sources))
            series += made.series
            rejected += made.rejected
            used |= made.used
    rejected = without_used(rejected, used, entries)
    if not series:
        raise nothing_read(len(entries), rejected)
    return Study(
        tuple(sorted(series, key=_series_order)),
        tuple(sorted(rejected, key=lambda r: (r.what, r.reason))),
    )


def _missing_from(error: ReadError, there: Set[str]) -> str:
    """The series that lacks an image for this, unless a sound copy of it is there."""
    if not isinstance(error, DamagedFile):
        return ""
    copied = error.sop_instance_uid != "" and error.sop_instance_uid in there
    return "" if copied else error.missing_from


def first_bytes(entry: Entry, sources: Sources) -> bytes:
    """The first `FIRST_LOOK` bytes of a file, which tell what it is.

    Raises
    ------
    ReadError
        It is empty or cannot be read.
    """
    if entry.size == 0:
        raise ReadError("an empty file", expected="an image", action="Copy or export it again.")
    return sources.read(entry, limit=FIRST_LOOK)


def _read_one(entry: Entry, sources: Sources) -> tuple[Format, Instance] | ReadError:
    """What a file holds, and its format; or why it cannot be used."""
    try:
        head = first_bytes(entry, sources)
        its = format_of(head)
        if its is None:
            return why_unread(entry, sources, head)
        return its, its.read(entry, sources, head)
    except ReadError as error:
        return error


def refuse_damaged_archives(
    entries: Sequence[Entry], errors: Sequence[tuple[Entry, ReadError]]
) -> None:
    """Refuse all that comes from an archive a file of which is damaged.

    Which series that file is of, nobody knows: a stack may have lost its end, and would not show
    it.

    Raises
    ------
    ReadError
        One of the files is damaged in its archive.
    """
    damaged = [(entry, error) for entry, error in errors if isinstance(error, UnreadableMember)]
    if damaged:
        first, reason = damaged[0]
        count = sum(entry.path == first.path for entry, _ in damaged)
        of = sum(entry.path == first.path for entry in entries)
        raise ReadError(
            f"a zip archive of which {count} of {of} files cannot be used; the first: "
            f"{reason.found}",
            expected=reason.expected,
            action=reason.action,
        )


def without_used(
    rejected: Sequence[Rejection], used: Set[Place], entries: Sequence[Entry]
) -> list[Rejection]:
    """The rejections but for files that others need, as the voxels of a header beside them."""
    names = {entry.name for entry in entries if (entry.path, entry.member) in used}
    return [rejection for rejection in rejected if rejection.what not in names]


def _series_order(series: Series) -> tuple[bool, bool, int, str, str]:
    number = series_number(series)
    return (
        series.kind is SourceKind.IMAGE_STACK,
        number is None,
        number or 0,
        series.series_instance_uid,
        series.description,
    )


def nothing_read(count: int, rejected: Sequence[Rejection]) -> ReadError:
    """That no file of an input could be used: one line per reason, not per file."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for rejection in rejected:
        reasons[rejection.reason].append(rejection.what)
    lines = [
        f"{files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}: {reason}"
        for reason, files in list(reasons.items())[:_SHOWN_REASONS]
    ]
    if len(reasons) > _SHOWN_REASONS:
        lines.append(f"and {len(reasons) - _SHOWN_REASONS} more reasons")
    return ReadError(
        f"no usable image among {count} files" + (f" ({'; '.join(lines)})" if lines else ""),
        expected="at least one DICOM, NIfTI, MetaImage, PNG, JPEG or TIFF image",
        action="Check that this is the right folder and that the export was complete.",
    )
