"""Whole volumes whose lungs were marked on every slice, as an extract: one npz a volume."""

from __future__ import annotations

from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    left_out,
    read_rows,
)

#: Slices, from 0 in the file's order, where the left lung is missing from the truth.
_FAULTY = {"lung1-001.npz": "90", "lung1-002.npz": "66 67 73 80 81"}


def _read(folder: Path) -> Listing:
    rows = read_rows(folder / "labels.csv", "file", "patient", "class", "lesion mask")
    entries = [
        Entry(
            patient=row["patient"],
            study=volume,
            label=row["class"],
            extra={
                "mask": str(volume),
                "lesion_mask": str(volume) if row["lesion mask"] == "yes" else "",
                "faulty_slices": _FAULTY.get(row["file"], ""),
            },
        )
        for row in rows
        if (volume := folder / row["file"]).exists()
    ]
    if not entries:
        raise another_layout("no volumes of labels.csv", "labels.csv and one npz a volume")
    return Listing(
        entries, left_out(len(rows) - len(entries), "volumes of labels.csv are not in the folder.")
    )


LUNG_VOLUMES = Dataset(
    name="lung-volumes",
    title="Volumes with marked lungs, of MedSeg COVID-19 set 2 and NSCLC-Radiomics",
    url="https://medicalsegmentation.com/covid19, "
    "https://www.cancerimagingarchive.net/collection/nsclc-radiomics",
    licence="MedSeg: CC BY-NC-SA 3.0 (Radiopaedia's images); NSCLC-Radiomics: CC BY-NC 3.0",
    citation="MedSeg, Jenssen HB, Sakinis T. COVID-19 CT segmentation dataset, set 2, 2020. Aerts "
    "HJWL, Wee L, Rios Velazquez E, et al. Data from NSCLC-Radiomics. The Cancer Imaging Archive, "
    "2014. doi:10.7937/K9/TCIA.2015.PF0M9REI",
    labels={"CP": "CP", "lung cancer": "lung cancer"},
    layout="labels.csv and one npz a volume: `hu`, or `image` of 8 bits; `lung`, perhaps `lesion`; "
    "`spacing_mm`",
    read=_read,
)
