"""COVID-CT-MD: DICOM series of COVID-19, community-acquired pneumonia and normal patients."""

from __future__ import annotations

from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    folders_in,
    read_rows,
)

#: Folder names begin with these; "Cases" or "subjects" follows, depending on the release.
_CLASSES = {"covid-19": "CP", "cap": "NCP", "normal": "healthy"}


def _read(folder: Path) -> Listing:
    index = folder / "Index.csv"
    labelled = {row["Folder/ID"] for row in read_rows(index, "Folder/ID")} if index.exists() else ()
    entries = [
        Entry(
            patient=patient.name,
            study=patient,
            label=label,
            extra={"slice_labels": "yes" if patient.name in labelled else ""},
        )
        for group in folders_in(folder)
        if (label := _CLASSES.get(group.name.lower().split(" ")[0]))
        for patient in folders_in(group)
    ]
    if not entries:
        raise another_layout(
            "no patients' folders", "COVID-19 Cases/, Cap Cases/ and Normal Cases/ with DICOM files"
        )
    return Listing(entries)


COVID_CT_MD = Dataset(
    name="covid-ct-md",
    title="COVID-CT-MD",
    url="https://github.com/ShahinSHH/COVID-CT-MD",
    licence="CC BY 4.0 is what the article carries; check the Figshare record for the data",
    citation="Afshar P, Heidarian S, Enshaei N, et al. COVID-CT-MD, COVID-19 computed tomography "
    "scan dataset applicable in machine learning and deep learning. Sci Data 2021;8:121. "
    "doi:10.1038/s41597-021-00900-3",
    labels={"COVID-19": "CP", "CAP": "NCP", "Normal": "healthy"},
    layout="COVID-19 Cases/P001/*.dcm, Cap Cases/cap001/*.dcm, Normal Cases/normal001/*.dcm, "
    "Index.csv",
    read=_read,
)
