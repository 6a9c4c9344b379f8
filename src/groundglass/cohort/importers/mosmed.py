"""MosMedData COVID19_1110: NIfTI studies by severity; and its one-slice-a-patient extract."""

from __future__ import annotations

from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    files_in,
    left_out,
    read_rows,
)

_SEVERITIES = ("CT-0", "CT-1", "CT-2", "CT-3", "CT-4")
_NIFTI = (".nii.gz", ".nii")


def _read(folder: Path) -> Listing:
    if (folder / "labels.csv").exists():
        return _read_slices(folder)
    root = next((f for f in (folder, folder / "COVID19_1110") if (f / "studies").is_dir()), folder)
    entries = [
        Entry(
            patient=_stem(study),
            study=study,
            label=_label(severity),
            extra={"severity": severity, "lesion_mask": _lesion_mask(root, study)},
        )
        for severity in _SEVERITIES
        for study in files_in(root / "studies" / severity, *_NIFTI)
    ]
    if not entries:
        raise another_layout("no studies", "studies/CT-0/study_0001.nii.gz to studies/CT-4/…")
    return Listing(entries)


def _read_slices(folder: Path) -> Listing:
    rows = read_rows(folder / "labels.csv", "file", "patient_id", "severity")
    there = [row for row in rows if (folder / "images" / row["file"]).exists()]
    entries = [
        Entry(
            patient=row["patient_id"],
            study=folder / "images" / row["file"],
            label=_label(row["severity"]),
            extra={"severity": row["severity"]},
        )
        for row in there
    ]
    if not entries:
        raise another_layout("no images of labels.csv", "labels.csv and images/*.jpg")
    missing = left_out(len(rows) - len(there), "images of labels.csv are not in the folder.")
    return Listing(entries, missing)


def _label(severity: str) -> str:
    if severity not in _SEVERITIES:
        raise another_layout(f"the severity {severity!r}", ", ".join(_SEVERITIES))
    return "healthy" if severity == "CT-0" else "CP"


def _stem(study: Path) -> str:
    return study.name.removesuffix(".gz").removesuffix(".nii")


def _lesion_mask(root: Path, study: Path) -> str:
    """50 studies of CT-1 have one."""
    masks = [root / "masks" / f"{_stem(study)}_mask{suffix}" for suffix in _NIFTI]
    return next((str(mask) for mask in masks if mask.exists()), "")


MOSMED = Dataset(
    name="mosmed",
    title="MosMedData COVID19_1110",
    url="https://mosmed.ai/en/datasets/covid191110",
    licence="CC BY-NC-ND 3.0",
    citation="Morozov SP, Andreychenko AE, Pavlov NA, et al. MosMedData: chest CT scans with "
    "COVID-19 related findings dataset. medRxiv 2020. doi:10.1101/2020.05.20.20100362",
    labels={"CT-0": "healthy", "CT-1 to CT-4": "CP"},
    layout="studies/CT-0/study_0001.nii.gz to studies/CT-4/…, masks/study_0255_mask.nii.gz; or one "
    "slice a patient as labels.csv and images/*.jpg",
    read=_read,
)
