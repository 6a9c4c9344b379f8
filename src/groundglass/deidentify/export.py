"""Files in, de-identified files out."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from groundglass.core.quiet import quietly
from groundglass.core.study import Rejection
from groundglass.deidentify.confidentiality import basic_profile
from groundglass.deidentify.dataset import deidentify
from groundglass.deidentify.pseudonyms import SiteKey
from groundglass.errors import InputError, ReadError
from groundglass.read.dicom.headers.damage import PARSE_ERRORS
from groundglass.read.dicom.headers.dataset import looks_like_dicom, open_dataset
from groundglass.read.limits import LIMITS
from groundglass.read.sources import Entry, Sources, list_entries

Progress = Callable[[int, int], None]
_unfit = partial(
    ReadError,
    expected="a whole DICOM object of usual size, little endian",
    action="Export it again from the archive, uncompressed if possible.",
)


@dataclass(frozen=True, slots=True)
class Export:
    """How much was written, and each file left out, with its reason; its name may tell who."""

    written: int
    studies: int
    refused: tuple[Rejection, ...]


def export_deidentified(
    source: Path, directory: Path, key: SiteKey, progress: Progress | None = None
) -> Export:
    """De-identify every DICOM file of an input.

    Parameters
    ----------
    source : Path
        A folder, a zip archive or a file.
    directory : Path
        An empty folder. Gets a folder for each study and in it for each series, named by the new
        UIDs, as are the files.
    key : SiteKey
        Decides new UIDs, pseudonyms and dates.
    progress : callable, optional
        Called with (files done, files in all).

    Raises ------ ReadError No file could be de-identified. SettingsError dicom-anonymizer is not
    installed.
    """
    basic_profile()  # before anything is read
    entries, refused = list_entries(source)
    studies: set[str] = set()
    written = 0
    with Sources() as sources, quietly():  # values against the standard are treated like any other
        for number, entry in enumerate(entries, 1):
            try:
                studies.add(_export(entry, sources, directory, key))
                written += 1
            except InputError as error:
                refused.append(Rejection(entry.name, str(error)))
            if progress is not None:
                progress(number, len(entries))
    if not written:
        reasons = sorted({rejection.reason for rejection in refused})
        raise ReadError(
            f"no file that can be de-identified among {len(entries)} ({'; '.join(reasons[:5])})",
            expected="at least one DICOM object of a kind that is accepted",
            action="Check that this is the right folder.",
        )
    return Export(written, len(studies), tuple(refused))


def _export(entry: Entry, sources: Sources, directory: Path, key: SiteKey) -> str:
    """De-identify one file; the new UID of its study."""
    try:
        clean = deidentify(_read(entry, sources), key)
        content = io.BytesIO()
        clean.save_as(content, enforce_file_format=True)
    except PARSE_ERRORS as error:
        raise ReadError(
            f"a damaged data set ({type(error).__name__})",
            expected="a complete DICOM object (PS3.10)",
            action="Export it again from the archive.",
        ) from error
    study = str(clean.StudyInstanceUID)
    folder = directory / study / str(clean.SeriesInstanceUID)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (folder / f"{clean.SOPInstanceUID}.dcm").open("xb") as file:
            file.write(content.getbuffer())
    except FileExistsError as error:
        raise ReadError(
            "an object that was already written, by its SOP Instance UID",
            expected="each object once",
            action="Nothing to do if the files are copies; else find out which is right.",
        ) from error
    return study


def _read(entry: Entry, sources: Sources) -> Dataset:
    """The whole data set, pixels included, with the transfer syntax it came in."""
    data = sources.read(entry, limit=LIMITS.encoded_bytes)
    if len(data) == LIMITS.encoded_bytes:
        raise _unfit(f"a file of more than {LIMITS.encoded_bytes >> 20} MiB")
    if not looks_like_dicom(data[:256]):
        raise ReadError("no DICOM file", expected="DICOM", action="Nothing to do: it was left out.")
    opened = open_dataset(io.BytesIO(data))
    if opened.inflated and len(opened.stream.getbuffer()) >= LIMITS.header_bytes:
        raise _unfit(f"a deflated data set of more than {LIMITS.header_bytes >> 20} MiB")
    if not opened.little:
        raise _unfit("a data set in the retired big endian encoding")
    dataset = read_dataset(opened.stream, opened.implicit, opened.little)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(opened.syntax or ExplicitVRLittleEndian)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        if not dataset.get(keyword):
            raise _unfit(f"a data set without {keyword}")
    return dataset
