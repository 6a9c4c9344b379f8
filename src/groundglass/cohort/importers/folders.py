"""Your own data: a folder for each class, with a folder or a file for each patient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    folders_in,
)

_SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def _read(folder: Path) -> Listing:
    parts = folders_in(folder)
    split_level = bool(parts) and all(part.name.lower() in _SPLITS for part in parts)
    entries = [
        entry
        for part in (parts if split_level else [folder])
        for group in folders_in(part)
        for entry in _patients(group, _SPLITS[part.name.lower()] if split_level else "")
    ]
    if not entries:
        raise another_layout("no patients", "CLASS/PATIENT/ or train/CLASS/PATIENT/ and so on")
    return Listing(
        entries,
        ("Each entry of a class's folder is taken for one patient; check that this is true.",),
    )


def _patients(group: Path, split: str) -> Iterator[Entry]:
    for study in sorted(group.iterdir()):
        if not study.name.startswith("."):
            name = study.name if study.is_dir() else study.name.split(".", 1)[0]
            yield Entry(name, study, group.name, split)


FOLDERS = Dataset(
    name="folders",
    title="A folder for each class",
    url="",
    licence="yours",
    citation="",
    labels={"folder name": "the same word"},
    layout="CLASS/PATIENT/ (DICOM files, images) or CLASS/PATIENT.nii.gz; or train/CLASS/PATIENT/, "
    "val/…, test/…",
    read=_read,
)
