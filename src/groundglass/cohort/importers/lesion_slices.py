"""COVID-19-CT-Seg: slices with lesions, their lungs and lesions marked, as an extract."""

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

#: Patients that `lung-volumes` has whole. Found by their lung masks: those of the slices agree with
#: slices of one volume, turned upside down, by a Dice of .98 and more (median of a patient); the
#: other patients' nowhere by more than .85.
IN_LUNG_VOLUMES = {
    "cs-11": "medseg-2",
    "cs-12": "medseg-2",
    "cs-14": "medseg-5",
    "cs-15": "medseg-6",
    "cs-16": "medseg-7",
    "cs-17": "medseg-8",
}


def _read(folder: Path) -> Listing:
    rows = read_rows(folder / "labels.csv", "image", "lungs", "lesions", "patient_guess", "class")
    entries = [
        Entry(
            patient=row["patient_guess"],
            study=folder / row["image"],
            label=row["class"],
            extra={"mask": str(folder / row["lungs"]), "lesion_mask": str(folder / row["lesions"])},
            person=f"lung-volumes/{known}" if known else "",
        )
        for row in rows
        for known in [IN_LUNG_VOLUMES.get(row["patient_guess"], "")]
        if all((folder / row[name]).exists() for name in ("image", "lungs", "lesions"))
    ]
    if not entries:
        raise another_layout("no images of labels.csv", "labels.csv, ct/, lungs/ and lesions/")
    return Listing(
        entries,
        (
            *left_out(len(rows) - len(entries), "slices of labels.csv are not in the folder."),
            "Patients were guessed where the slices break; those that lung-volumes has too bear "
            "its name, so that both keep one split.",
        ),
    )


LESION_SLICES = Dataset(
    name="lesion-slices",
    title="COVID-19-CT-Seg: slices with marked lungs and lesions",
    url="https://zenodo.org/records/3757476",
    licence="CC BY 4.0; the images of Radiopaedia CC BY-NC-SA 3.0",
    citation="Ma J, Wang Y, An X, et al. Toward data-efficient learning: a benchmark for COVID-19 "
    "CT lung and infection segmentation. Med Phys 2021;48:1197-1210. doi:10.1002/mp.14676",
    labels={"CP": "CP"},
    layout="labels.csv with image, lungs, lesions, patient_guess and class; ct/*.jpg, "
    "lungs/*.png, lesions/*.png",
    read=_read,
)
