"""COVIDx CT: single slices from many sources, with split lists and a table of patients."""

from __future__ import annotations

import re
from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    left_out,
    read_rows,
)

_CLASSES = {"0": "healthy", "1": "NCP", "2": "CP"}
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_LIST = re.compile(r"(train|val|test)_COVIDx[_-]CT-(\w+)\.txt$", re.IGNORECASE)
_BOX = ("xmin", "ymin", "xmax", "ymax")


def _read(folder: Path) -> Listing:
    patients = {
        row["patient id"]: row for row in read_rows(folder / "metadata.csv", "patient id", "source")
    }
    lists = sorted(p for p in folder.iterdir() if _LIST.match(p.name))
    entries: list[Entry] = []
    nobody = missing = 0
    for path in lists:
        found = _LIST.match(path.name)
        assert found is not None  # noqa: S101
        images = _images(folder, found[2])
        for name, label, *box in _lines(path):
            patient = _patient_of(name, patients)
            if patient is None:
                nobody += 1
            elif not (images / name).exists():
                missing += 1
            else:
                row = patients[patient]
                more = {key: row.get(key, "") for key in ("country", "sex", "age")}
                entries.append(
                    Entry(
                        patient=patient,
                        study=images / name,
                        label=label,
                        split=_SPLITS[found[1].lower()],
                        origin=row["source"],
                        extra={**more, **dict(zip(_BOX, box, strict=True))},
                    )
                )
    if not entries:
        raise another_layout(
            "no slices of known patients",
            "metadata.csv, train_COVIDx_CT-3A.txt, val_…, test_… and 3A_images/",
        )
    return Listing(
        entries,
        (
            *left_out(nobody, "slices left out: no patient of metadata.csv is in their name."),
            *left_out(missing, "slices of the lists are not in the folder."),
        ),
    )


def _images(folder: Path, version: str) -> Path:
    """2A_images for the list of version 2A; without it, the folder itself."""
    named = folder / f"{version}_images"
    return named if named.is_dir() else folder


def _lines(path: Path) -> list[tuple[str, ...]]:
    """(file, our label, xmin, ymin, xmax, ymax) of each line; file names have no blanks."""
    lines: list[tuple[str, ...]] = []
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise another_layout(f"{path.name}, which cannot be read", "a text file") from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 6 or words[1] not in _CLASSES:
            raise another_layout(
                f"line {number} of {path.name}, which is no file, class (0 to 2) and box",
                "file class xmin ymin xmax ymax",
            )
        lines.append((words[0], _CLASSES[words[1]], *words[2:]))
    return lines


def _patient_of(name: str, patients: dict[str, dict[str, str]]) -> str | None:
    """The patient in a file name: from its beginning, or from after a separator; the longest.

    Names are PATIENT_SCAN_SLICE.png, or SOURCE-PATIENT-SLICE.png, with either separator.
    """
    ends = [m.start() for m in re.finditer(r"[_-]", name)]
    for start in (0, *(end + 1 for end in ends)):
        for end in reversed(ends):
            if end > start and name[start:end] in patients:
                return name[start:end]
    return None


COVIDX_CT = Dataset(
    name="covidx-ct",
    title="COVIDx CT (1 to 3, A and B)",
    url="https://www.kaggle.com/datasets/hgunraj/covidxct",
    licence="that of each source: CC BY 3.0 CN, CC BY 4.0, CC BY 3.0, CC BY-NC 4.0, CC BY-NC-SA "
    "3.0 and 4.0, CC BY-NC-ND 3.0; so research only",
    citation="Gunraj H, Sabri A, Koff D, Wong A. COVID-Net CT-2: enhanced deep neural networks for "
    "detection of COVID-19 from chest CT images through bigger, more diverse learning. Front Med "
    "2022;8:729287. doi:10.3389/fmed.2021.729287",
    labels={"0 Normal": "healthy", "1 Pneumonia": "NCP", "2 COVID-19": "CP"},
    layout="metadata.csv, train_COVIDx_CT-3A.txt, val_COVIDx_CT-3A.txt, test_COVIDx_CT-3A.txt, "
    "3A_images/*.png",
    read=_read,
)
