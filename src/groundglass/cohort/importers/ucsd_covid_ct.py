"""UCSD COVID-CT: slices as printed in papers; and its extract with a table of patients."""

from __future__ import annotations

from collections.abc import Mapping
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

_LABELS = {"covid": "CP", "noncovid": "non-COVID"}
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_IMAGES = (".png", ".jpg", ".jpeg")


def _read(folder: Path) -> Listing:
    if (folder / "labels.csv").exists():
        return _read_extract(folder)
    patients = {
        "COVID": _patients(folder / "COVID-CT-MetaInfo.csv", "File name", "Patient ID"),
        "NonCOVID": _patients(folder / "NonCOVID-CT-MetaInfo.csv", "image name", "patient id"),
    }
    entries: list[Entry] = []
    nobody = 0
    for group, known in patients.items():
        splits = _splits(folder, group)
        for image in _images(folder, group):
            patient = known.get(image.name) or known.get(image.stem)
            if patient is None:
                nobody += 1
                continue
            entries.append(
                Entry(
                    patient=f"{group}/{patient}",
                    study=image,
                    label=_LABELS[group.lower()],
                    split=splits.get(image.name, ""),
                )
            )
    if not entries:
        raise another_layout(
            "no images with a patient", "Images-processed/CT_COVID/*.png and so on"
        )
    return Listing(entries, _nobody(nobody))


def _read_extract(folder: Path) -> Listing:
    rows = read_rows(folder / "labels.csv", "file", "label", "patient_id")
    known = [row for row in rows if row["patient_id"]]
    there = [row for row in known if (folder / "images" / row["file"]).exists()]
    strange = {row["label"] for row in rows} - set(_LABELS)
    if strange or not there:
        raise another_layout(
            f"the labels {', '.join(sorted(strange))}" if strange else "no images of labels.csv",
            "labels.csv with covid and noncovid, and images/",
        )
    entries = [
        Entry(row["patient_id"], folder / "images" / row["file"], _LABELS[row["label"]])
        for row in there
    ]
    missing = left_out(len(known) - len(there), "images of labels.csv are not in the folder.")
    return Listing(entries, (*missing, *_nobody(len(rows) - len(known))))


def _nobody(count: int) -> tuple[str, ...]:
    return left_out(count, "images left out: whose they are is not known.")


def _patients(path: Path, image: str, patient: str) -> dict[str, str]:
    """Patient per image; the table of COVID images comes as a spreadsheet."""
    if not path.exists():
        raise another_layout(
            f"no {path.name}",
            f"the table that says whose each image is, as CSV (save {path.stem}.xlsx as CSV)",
        )
    return {row[image]: row[patient] for row in read_rows(path, image, patient) if row[patient]}


def _images(folder: Path, group: str) -> list[Path]:
    places = (folder / "Images-processed" / f"CT_{group}", folder / f"CT_{group}")
    return [image for place in places for image in files_in(place, *_IMAGES)]


def _splits(folder: Path, group: str) -> Mapping[str, str]:
    """The authors' lists: one file name a line."""
    splits: dict[str, str] = {}
    for part, split in _SPLITS.items():
        path = folder / "Data-split" / group / f"{part}CT_{group}.txt"
        if path.exists():
            names = path.read_text("utf-8", errors="replace").splitlines()
            splits |= {name.strip(): split for name in names if name.strip()}
    return splits


UCSD_COVID_CT = Dataset(
    name="ucsd-covid-ct",
    title="UCSD COVID-CT",
    url="https://github.com/UCSD-AI4H/COVID-CT",
    licence="copyright with the papers' publishers and authors: research only",
    citation="Yang X, He X, Zhao J, Zhang Y, Zhang S, Xie P. COVID-CT-Dataset: a CT scan dataset "
    "about COVID-19. arXiv:2003.13865, 2020",
    labels={"COVID": "CP", "NonCOVID": "non-COVID"},
    layout="Images-processed/CT_COVID/*.png, Images-processed/CT_NonCOVID/*.jpg, "
    "COVID-CT-MetaInfo.csv (save the .xlsx as CSV), NonCOVID-CT-MetaInfo.csv, "
    "Data-split/COVID/trainCT_COVID.txt and so on; or labels.csv and images/",
    read=_read,
)
