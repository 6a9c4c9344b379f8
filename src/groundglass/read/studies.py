"""Files of many studies → the files of each, told apart by what the files say."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from groundglass.core.quiet import quietly
from groundglass.core.study import Rejection
from groundglass.errors import ReadError
from groundglass.read.format import Place, Progress, StudyIdentity
from groundglass.read.formats import format_of
from groundglass.read.limits import LIMITS
from groundglass.read.reading import READERS, first_bytes, nothing_read, without_used
from groundglass.read.sources import Entry, Sources, UnreadableMember, list_entries
from groundglass.read.unread import why_unread

#: Hexadecimal digits of a name: among a million studies two share one with a chance of 1 in 500.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The files of one study, wherever among the inputs they lie; at least one.

    The name is made from the UID (of NIfTI and MetaImage, which have none: from the content) by a
    hash: it names nobody, and is the same wherever the files lie.
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
        used: set[Place] = set()
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
                used |= look.used
                if look.study_instance_uid or look.key not in found:
                    found.setdefault(look.key, (look.study_instance_uid, []))[1].append(entry)
                else:
                    rejected.append(Rejection(entry.name, "a copy of another volume file"))
    rejected = without_used(rejected, used, entries)
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


def _look(entry: Entry, sources: Sources) -> StudyIdentity | ReadError:
    try:
        head = first_bytes(entry, sources)
        its = format_of(head)
        if its is None:
            return why_unread(entry, sources, head)
        return its.identify(entry, sources, head)
    except ReadError as error:
        return error


def _name(key: str) -> str:
    return f"study-{hashlib.sha256(key.encode()).hexdigest()[:_DIGITS]}"
