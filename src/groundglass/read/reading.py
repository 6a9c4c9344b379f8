"""Files → Study: every file read by its header, sorted into series, or given a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import cast

from groundglass.core.cores import usable_cores
from groundglass.core.quiet import quietly
from groundglass.core.study import ANY_SERIES, Instance, Rejection, Series, SourceKind, Study
from groundglass.errors import ReadError
from groundglass.read.dicom.damage import DamagedFile
from groundglass.read.dicom.dataset import looks_like_dicom
from groundglass.read.dicom.header import FIRST_LOOK, read_header
from groundglass.read.dicom.pixels.frame_reader import FrameReader
from groundglass.read.dicom.reconstructions import is_ct_class
from groundglass.read.dicom.stacks.duplicates import drop_duplicates
from groundglass.read.image_stack.pictures import IMAGE_SUFFIXES, is_picture
from groundglass.read.image_stack.stack import ImageStackSettings, read_stack_header
from groundglass.read.metaimage import is_metaimage, read_metaimage_header
from groundglass.read.nifti.volume import is_nifti, read_nifti_header
from groundglass.read.sources import Entry, Sources, UnreadableMember, list_entries
from groundglass.read.unread import why_unread

Progress = Callable[[int, int], None]

#: Threads that read headers: enough to hide the latency of a network drive.
READERS = min(8, 2 + len(usable_cores()))
_SHOWN_REASONS = 5
#: Files that are a volume of their own.
_VOLUMES = {SourceKind.NIFTI: "NIfTI volume", SourceKind.METAIMAGE: "MetaImage volume"}


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
    """`read_study` of files that have been listed.

    Parameters
    ----------
    entries : sequence of Entry
        The files.
    set_aside : sequence of Rejection
        What listing them left out.
    stack, progress
        As for `read_study`.

    Raises
    ------
    ReadError
        No file could be used.
    """
    rejected = list(set_aside)
    with Sources() as sources, quietly():  # each damaged file has its reason in the result
        found: list[Instance | Entry | ReadError] = []
        with ThreadPoolExecutor(READERS) as pool:
            for read in pool.map(lambda entry: _read_one(entry, sources), entries):
                found.append(read)
                if progress is not None:
                    progress(len(found), len(entries))
        refuse_damaged_archives(entries, found)
        instances = [
            (entry.name, read)
            for entry, read in zip(entries, found, strict=True)
            if isinstance(read, Instance)
        ]
        there = {instance.sop_instance_uid for _, instance in instances}
        rejected += [
            Rejection(entry.name, str(read), _missing_from(read, there))
            for entry, read in zip(entries, found, strict=True)
            if isinstance(read, ReadError)
        ]
        with FrameReader() as reader:
            kept, duplicates = drop_duplicates(instances, reader)
        rejected += duplicates
        rejected = without_voxel_files(rejected, kept, entries)
        series = _sort_into_series(kept)
        stacked, refused = _stack_images(entries, found, stack, sources)
        series, rejected = series + stacked, rejected + refused
    if not series:
        raise nothing_read(len(entries), rejected)
    return Study(tuple(series), tuple(sorted(rejected, key=lambda r: (r.what, r.reason))))


def _missing_from(error: ReadError, there: Set[str]) -> str:
    """The series that lacks an image for this, unless a sound copy of it is there."""
    if not isinstance(error, DamagedFile):
        return ""
    uids = error.uids
    if uids is None:
        return ANY_SERIES
    if uids.instance in there or (uids.object_class and not is_ct_class(uids.object_class)):
        return ""
    return uids.series or ANY_SERIES


def first_bytes(entry: Entry, sources: Sources) -> bytes:
    """The first `FIRST_LOOK` bytes of a file, which tell what it is.

    Raises
    ------
    ReadError
        It is empty or cannot be read.
    """
    if entry.size == 0:
        raise ReadError("an empty file", expected="an image", action="Copy or export it again.")
    return sources.read(entry.path, entry.member, limit=FIRST_LOOK)


def _read_one(entry: Entry, sources: Sources) -> Instance | Entry | ReadError:
    """The instance in a file; the entry itself when it is an image of a stack; or the reason."""
    try:
        head = first_bytes(entry, sources)
        if looks_like_dicom(head):
            return read_header(entry, sources, head)
        if is_volume_file(head):
            return read_volume_file(entry, sources, head)
        return entry if is_picture(head) else why_unread(entry, sources, head)
    except ReadError as error:
        return error


def is_volume_file(head: bytes) -> bool:
    """Whether a file's first bytes are those of NIfTI or MetaImage: a volume of its own."""
    return is_nifti(head) or is_metaimage(head)


def read_volume_file(entry: Entry, sources: Sources, head: bytes) -> Instance:
    """The instance in a volume file.

    Raises
    ------
    ReadError
        It is damaged, or no volume of one real number per voxel.
    """
    if is_nifti(head):
        return read_nifti_header(entry, sources, head)
    return read_metaimage_header(entry, sources, head)


def refuse_damaged_archives(
    entries: Sequence[Entry], found: Sequence[Instance | Entry | ReadError]
) -> None:
    """Refuse all that comes from an archive a file of which is damaged.

    Which series that file is of, nobody knows: a stack may have lost its end, and would not show
    it.

    Raises
    ------
    ReadError
        One of the files is damaged in its archive.
    """
    damaged = [
        (entry, read)
        for entry, read in zip(entries, found, strict=True)
        if isinstance(read, UnreadableMember)
    ]
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


def without_voxel_files(
    rejected: Sequence[Rejection], volumes: Sequence[Instance], entries: Sequence[Entry]
) -> list[Rejection]:
    """The rejections but for files that hold the voxels of a header beside them."""
    pairs = [(v, cast(Instance, v.attributes.get("voxels", v))) for v in volumes]
    used = {(two.path, two.member) for _, two in pairs}
    used -= {(one.path, one.member) for one, _ in pairs}
    names = {entry.name for entry in entries if (entry.path, entry.member) in used}
    return [rejection for rejection in rejected if rejection.what not in names]


def _sort_into_series(instances: Sequence[Instance]) -> list[Series]:
    groups: defaultdict[tuple[str, ...], list[Instance]] = defaultdict(list)
    series: list[Series] = []
    for instance in instances:
        kind = instance.attributes.get("kind")
        if isinstance(kind, SourceKind):
            # Not the file's name: exports like to put the patient's name into it.
            series.append(Series("", "", kind, "", _VOLUMES[kind], (instance,)))
            continue
        keys = ("StudyInstanceUID", "SeriesInstanceUID", "Modality")
        groups[tuple(str(instance.attributes.get(key, "")) for key in keys)].append(instance)
    for (study_uid, series_uid, modality), members in groups.items():
        ordered = sorted(members, key=lambda member: member.sop_instance_uid)
        first = ordered[0].attributes
        many = any(cast(int, m.attributes.get("NumberOfFrames", 1)) > 1 for m in ordered)
        series.append(
            Series(
                series_instance_uid=series_uid,
                study_instance_uid=study_uid,
                kind=SourceKind.DICOM_MULTIFRAME if many else SourceKind.DICOM,
                modality=modality,
                description=str(first.get("SeriesDescription", "")),
                instances=tuple(ordered),
            )
        )
    return sorted(series, key=_series_order)


def _series_order(series: Series) -> tuple[bool, int, str, str]:
    number = series.instances[0].attributes.get("SeriesNumber")
    known = isinstance(number, int)
    return (
        not known,
        cast(int, number) if known else 0,
        series.series_instance_uid,
        series.description,
    )


def _stack_images(
    entries: Sequence[Entry],
    found: Sequence[Instance | Entry | ReadError],
    stack: ImageStackSettings | None,
    sources: Sources,
) -> tuple[list[Series], list[Rejection]]:
    """The images as one series, unless one is missing: their order alone says where they lie."""
    images = [read for read in found if isinstance(read, Entry)]
    if not images:
        return [], []
    lost = sum(
        isinstance(read, ReadError) and _is_named_as_image(entry.name)
        for entry, read in zip(entries, found, strict=True)
    )
    if lost and stack is not None:
        reason = str(
            ReadError(
                f"a stack of images of which {lost} cannot be read",
                expected="every slice",
                action="Copy or export the images again.",
            )
        )
        return [], [Rejection(entry.name, reason) for entry in images]
    try:
        return [read_stack_header(images, stack, sources)], []
    except ReadError as error:
        return [], [Rejection(entry.name, str(error)) for entry in images]


def _is_named_as_image(name: str) -> bool:
    path = PurePosixPath(name.lower())  # ._ begins what macOS lays beside each file
    return path.suffix in IMAGE_SUFFIXES and not path.name.startswith("._")


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
