"""Files of many studies → the files of each, told apart by what the files say."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from groundglass.core.quiet import quietly
from groundglass.core.study import Instance, Rejection
from groundglass.errors import ReadError
from groundglass.read.dicom.dataset import looks_like_dicom
from groundglass.read.dicom.header import read_uids
from groundglass.read.image_stack.pictures import is_picture
from groundglass.read.limits import LIMITS
from groundglass.read.reading import (
    READERS,
    Progress,
    first_bytes,
    is_volume_file,
    nothing_read,
    read_volume_file,
    without_voxel_files,
)
from groundglass.read.sources import Entry, Sources, UnreadableMember, list_entries
from groundglass.read.unread import why_unread

#: Bytes of a volume file that tell it from others, beside its size.
_VOLUME_LOOK = 2**20
#: Hexadecimal digits of a name: among a million studies two share one with a chance of 1 in 500.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The files of one study, wherever among the inputs they lie.

    Parameters
    ----------
    name : str
        Made from the UID (of NIfTI and MetaImage: from the content) by a hash: names nobody, and is
        the same wherever the files lie.
    study_instance_uid : str
        Empty for NIfTI and MetaImage.
    entries : tuple of Entry
        At least one.
    """

    name: str
    study_instance_uid: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)


def find_studies(
    inputs: Sequence[str | Path],
    *,
    but: Path | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[StudyFiles, ...], tuple[Rejection, ...]]:
    """Tell the studies in a pile of files apart.

    DICOM files belong to the study whose Study Instance UID they hold, in whichever folder, zip
    archive or input they lie. A NIfTI or MetaImage file is a study of its own. PNG, JPEG and TIFF
    images are set aside: nothing in them says which belong together. Headers are read as far as the
    UID.

    Parameters
    ----------
    inputs : sequence of str or Path
        Folders, zip archives and files; archives inside folders are opened too.
    but : Path, optional
        A folder that is passed over where it lies in one of them: results as DICOM have the UID of
        the study they are about.
    progress : callable, optional
        Called with (files done, files in all).

    Returns
    -------
    tuple of StudyFiles
        In the order in which the inputs and the names of their files bring them.
    tuple of Rejection
        Each file that belongs to no study, with its reason.

    Raises
    ------
    ReadError
        An input cannot be read, or no file belongs to a study.
    """
    with Sources() as sources, quietly():  # each damaged file has its reason
        entries, rejected = _list_all(inputs, but)
        found: dict[str, tuple[str, list[Entry]]] = {}
        volumes: list[Instance] = []
        damaged: list[Entry] = []
        with ThreadPoolExecutor(READERS) as pool:
            looks = pool.map(lambda entry: _look(entry, sources), entries)
            for done, (entry, look) in enumerate(zip(entries, looks, strict=True), 1):
                if progress is not None:
                    progress(done, len(entries))
                if isinstance(look, ReadError):
                    rejected.append(Rejection(entry.name, str(look)))
                    damaged += [entry] if isinstance(look, UnreadableMember) else []
                    continue
                volumes += [] if look.volume is None else [look.volume]
                if look.uid or look.key not in found:
                    found.setdefault(look.key, (look.uid, []))[1].append(entry)
                else:
                    rejected.append(Rejection(entry.name, "a copy of another volume file"))
    rejected = without_voxel_files(rejected, volumes, entries)
    if not found:
        raise nothing_read(len(entries), rejected)
    for _, own in found.values():  # whose the damaged file is, nobody knows: none is whole
        archives = {entry.path for entry in own}
        own += [entry for entry in damaged if entry.path in archives]
    studies = (StudyFiles(_name(key), uid, tuple(own)) for key, (uid, own) in found.items())
    return tuple(studies), tuple(sorted(rejected, key=lambda r: (r.what, r.reason)))


def _list_all(
    inputs: Sequence[str | Path], but: Path | None
) -> tuple[list[Entry], list[Rejection]]:
    """Every file once, whichever of the inputs hold it; archives opened, but not those in them."""
    passed_over = None if but is None else but.resolve()
    entries: dict[tuple[Path, int | None], Entry] = {}
    rejected: list[Rejection] = []
    for root in map(Path, inputs):
        try:
            listed, refused = list_entries(root.resolve(), most=LIMITS.files_of_studies)
        except ReadError as error:
            if not zipfile.is_zipfile(root):
                raise
            listed, refused = [], [Rejection(root.name, str(error))]
        rejected += refused
        for entry in listed:
            if passed_over in entry.path.parents:
                continue
            if entry.member is not None or not _is_archive(entry.path):
                entries[entry.path, entry.member] = entry
                continue
            try:
                members, refused = list_entries(entry.path)
            except ReadError as error:
                rejected.append(Rejection(entry.name, str(error)))
                continue
            rejected += refused
            for member in members:
                entries[member.path, member.member] = replace(
                    member, name=f"{entry.name}/{member.name}"
                )
    return list(entries.values()), rejected


def _is_archive(path: Path) -> bool:
    """Whether to look inside; by name first, so that not every file is opened twice."""
    try:
        return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)
    except OSError:
        return False  # looking at it gives the reason


@dataclass(frozen=True, slots=True)
class _Look:
    """What tells a file's study: its UID, or what stands for it."""

    key: str
    uid: str = ""
    volume: Instance | None = None


def _look(entry: Entry, sources: Sources) -> _Look | ReadError:
    try:
        head = first_bytes(entry, sources)
        if looks_like_dicom(head):
            uid = read_uids(entry, sources, head).study
            return _Look(uid, uid) if uid else _without_uid()
        if is_volume_file(head):
            with suppress(ReadError):  # what is wrong with it, its analysis says
                return _look_at_volume(read_volume_file(entry, sources, head), sources)
            return _look_at_volume(Instance(entry.path, entry.member), sources)
    except ReadError as error:
        return error
    if not is_picture(head):
        return why_unread(entry, sources, head)
    return ReadError(
        "an image that does not say which study it belongs to",
        expected="DICOM, NIfTI or MetaImage",
        action="Give PNG, JPEG or TIFF images to `groundglass run`, which asks what they mean.",
    )


def _look_at_volume(volume: Instance, sources: Sources) -> _Look:
    """What tells a volume file, with the voxels beside it, from others."""
    parts = []
    for one in (volume, cast(Instance, volume.attributes.get("voxels", volume))):
        size = sources.size(one.path, one.member)
        content = sources.read(one.path, one.member, limit=_VOLUME_LOOK)
        parts.append(f"{size} {hashlib.sha256(content).hexdigest()}")
    return _Look(" ".join(dict.fromkeys(parts)), volume=volume)


def _without_uid() -> ReadError:
    return ReadError(
        "a DICOM file without a Study Instance UID",
        expected="one (PS3.3 C.7.2.1)",
        action="Give the study by itself to `groundglass run`.",
    )


def _name(key: str) -> str:
    return f"study-{hashlib.sha256(key.encode()).hexdigest()[:_DIGITS]}"
