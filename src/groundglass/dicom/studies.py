"""Files of many studies → the files of each, told apart by what the files say."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from groundglass.core.study import Rejection
from groundglass.dicom.header import looks_like_dicom, read_study_uid
from groundglass.dicom.imagestack import is_image
from groundglass.dicom.limits import LIMITS
from groundglass.dicom.nifti import is_nifti
from groundglass.dicom.reading import READERS, Progress, first_bytes, nothing_read
from groundglass.dicom.sources import Entry, Sources, list_entries
from groundglass.errors import ReadError

_ZIP = b"PK\3\4"
#: Bytes of a NIfTI file that tell it from others, beside its size.
_NIFTI_LOOK = 2**20
#: Hexadecimal digits of a name: among a million studies two share one with a chance of 1 in 500.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """The files of one study, wherever among the inputs they lie.

    Parameters
    ----------
    name : str
        Made from the UID (of NIfTI: from the content) by a hash: names nobody, and is the same
        wherever the files lie.
    study_instance_uid : str
        Empty for NIfTI.
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
    archive or input they lie. A NIfTI file is a study of its own. PNG and TIFF images are set
    aside: nothing in them says which belong together. Headers are read as far as the UID.

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
    with Sources() as sources, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # each damaged file has its reason
        entries, rejected = _list_all(inputs, but)
        found: dict[str, tuple[str, list[Entry]]] = {}
        with ThreadPoolExecutor(READERS) as pool:
            looks = pool.map(lambda entry: _look(entry, sources), entries)
            for done, (entry, look) in enumerate(zip(entries, looks, strict=True), 1):
                if progress is not None:
                    progress(done, len(entries))
                if isinstance(look, ReadError):
                    rejected.append(Rejection(entry.name, str(look)))
                elif look.uid or look.key not in found:
                    found.setdefault(look.key, (look.uid, []))[1].append(entry)
                else:
                    rejected.append(Rejection(entry.name, "a copy of another NIfTI file"))
    if not found:
        raise nothing_read(len(entries), rejected)
    studies = (StudyFiles(_name(key), uid, tuple(own)) for key, (uid, own) in found.items())
    return tuple(studies), tuple(sorted(rejected, key=lambda r: (r.what, r.reason)))


def _list_all(
    inputs: Sequence[str | Path], but: Path | None
) -> tuple[list[Entry], list[Rejection]]:
    """Every file once, whichever of the inputs hold it; archives opened, but not those in them."""
    passed_over = None if but is None else but.resolve()
    entries: dict[tuple[Path, str | None], Entry] = {}
    rejected: list[Rejection] = []
    for root in map(Path, inputs):
        listed, refused = list_entries(root.resolve(), most=LIMITS.files_of_studies)
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


def _look(entry: Entry, sources: Sources) -> _Look | ReadError:
    try:
        head = first_bytes(entry, sources)
        if looks_like_dicom(head):
            uid = read_study_uid(entry, sources, head)
            return _Look(uid, uid) if uid else _without_uid()
        if is_nifti(entry, head):
            content = sources.read(entry.path, entry.member, limit=_NIFTI_LOOK)
            return _Look(f"{entry.size} {hashlib.sha256(content).hexdigest()}")
    except ReadError as error:
        return error
    return ReadError(
        _what(head),
        expected="DICOM or NIfTI",
        action="Give PNG or TIFF images to `groundglass run`, which asks what they mean; unpack "
        "archives inside archives.",
    )


def _what(head: bytes) -> str:
    if head.startswith(_ZIP):
        return "a zip archive that is damaged, inside another, or not called .zip"
    if is_image(head):
        return "an image that does not say which study it belongs to"
    return "no image format"


def _without_uid() -> ReadError:
    return ReadError(
        "a DICOM file without a Study Instance UID",
        expected="one (PS3.3 C.7.2.1)",
        action="Give the study by itself to `groundglass run`.",
    )


def _name(key: str) -> str:
    return f"study-{hashlib.sha256(key.encode()).hexdigest()[:_DIGITS]}"
