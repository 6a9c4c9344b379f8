"""COV19-CT-DB: folders of JPEG slices, COVID-19 or not, without patients' identity."""

from __future__ import annotations

from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    files_in,
    folders_in,
    left_out,
    read_rows,
)

_SPLITS = {"train": "train", "val": "validation", "validation": "validation"}
_CLASSES = {"covid": "CP", "non-covid": "non-COVID"}
_NAME, _CENTRE = "ct_scan_name", "data_centre"


def _read(folder: Path) -> Listing:
    entries: list[Entry] = []
    for part, split in _SPLITS.items():
        for group, label in _CLASSES.items():
            centres = _centres(folder / part, group)
            entries += [
                Entry(
                    patient=f"{split}/{group}/{scan.name}",
                    study=scan,
                    label=label,
                    split=split,
                    origin=centres.get(scan.name, ""),
                )
                for scan in folders_in(folder / part / group)
            ]
    if not entries:
        raise another_layout("no scans", "train/covid/ct_scan_0/*.jpg, train/non-covid/…, val/…")
    return Listing(
        entries,
        (
            "The data names scans, not patients: two scans of one person cannot be told apart, and "
            "a split by patient cannot be made.",
            *left_out(len(folders_in(folder / "test")), "scans of test/ left out: no labels."),
        ),
    )


def _centres(part: Path, group: str) -> dict[str, str]:
    """Centre per scan, from the CSV files of the later editions: those of this class alone."""
    centres: dict[str, str] = {}
    for place in (part, part / "annotations", part.parent):
        for path in files_in(place, ".csv"):
            name = path.stem.lower().replace("_", "-")
            of_class = ("non-covid" in name or "noncovid" in name) == (group == "non-covid")
            of_part = place != part.parent or name.startswith(part.name[:3])
            if of_class and of_part and "covid" in name:
                rows = read_rows(path, _NAME, _CENTRE)
                centres |= {row[_NAME]: f"centre-{row[_CENTRE]}" for row in rows}
    return centres


COV19_CT_DB = Dataset(
    name="cov19-ct-db",
    title="COV19-CT-DB",
    url="https://mlearn.lincoln.ac.uk/mia-cov19d/",
    licence="by agreement with the holders; not to be passed on",
    citation="Kollias D, Arsenos A, Soukissian L, Kollias S. MIA-COV19D: COVID-19 detection "
    "through 3-D chest CT image analysis. ICCV Workshops 2021:537-544",
    labels={"covid": "CP", "non-covid": "non-COVID"},
    layout="train/covid/ct_scan_0/0.jpg, train/non-covid/…, val/ (or validation/) likewise; "
    "optionally CSV files with ct_scan_name and data_centre",
    read=_read,
)
