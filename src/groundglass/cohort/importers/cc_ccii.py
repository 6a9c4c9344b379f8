"""CC-CCII: folders of 8-bit images, and the cleaned version's split lists from HKBU."""

from __future__ import annotations

import json
from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    folders_in,
    left_out,
)

#: CC-CCII says NCP for novel coronavirus pneumonia and CP for common pneumonia: the reverse of our
#: words.
_CLASSES = {"NCP": "CP", "CP": "NCP", "Normal": "healthy"}
#: The lists of HKBU_HPML_COVID-19: {class: {patient: {scan: [files]}}}.
_LISTS = {
    "train": ("ct_train.json",),
    "validation": ("ct_val.json", "ct_valid.json"),
    "test": ("ct_test.json",),
}
_Scan = tuple[str, str, str]


def _read(folder: Path) -> Listing:
    splits = _split_lists(folder)
    entries = [
        Entry(
            patient=f"{group}_{patient.name}",
            study=scan,
            label=label,
            split=splits.get((group, patient.name, scan.name), ""),
            extra={"scan": scan.name},
        )
        for group, label in _CLASSES.items()
        for patient in folders_in(folder / group)
        for scan in folders_in(patient)
    ]
    if not entries:
        raise another_layout("no scans' folders", "NCP/, CP/ and Normal/ with patient/scan/ below")
    there = {(e.patient.split("_", 1)[0], e.patient.split("_", 1)[1], e.study.name)
             for e in entries}  # fmt: skip
    unlisted = sum(not e.split for e in entries) if splits else 0
    return Listing(
        entries,
        (
            *left_out(
                len(splits.keys() - there), "scans of the split lists are not in the folder."
            ),
            *left_out(unlisted, "scans are in none of the split lists; their split is empty."),
        ),
    )


def _split_lists(folder: Path) -> dict[_Scan, str]:
    """Which split each scan is in, where the lists lie in the folder."""
    splits: dict[_Scan, str] = {}
    for split, names in _LISTS.items():
        for path in (folder / name for name in names if (folder / name).exists()):
            try:
                lists = json.loads(path.read_text("utf-8"))
                listed = [
                    (str(group), str(patient), str(scan))
                    for group, patients in lists.items()
                    for patient, scans in patients.items()
                    for scan in scans
                ]
            except (OSError, ValueError, AttributeError, TypeError) as error:
                raise another_layout(
                    f"{path.name}, which is no split list", "{class: {patient: {scan: [files]}}}"
                ) from error
            splits |= dict.fromkeys(listed, split)
    return splits


CC_CCII = Dataset(
    name="cc-ccii",
    title="CC-CCII (2019nCoVR), original or cleaned (HKBU)",
    url="http://ncov-ai.big.ac.cn/download; lists: github.com/arthursdays/HKBU_HPML_COVID-19",
    licence="CC BY 3.0 CN, as COVIDx CT's authors record it",
    citation="Zhang K, Liu X, Shen J, et al. Clinically applicable AI system for accurate "
    "diagnosis, quantitative measurements, and prognosis of COVID-19 pneumonia using computed "
    "tomography. Cell 2020;181:1423-1433. doi:10.1016/j.cell.2020.04.045. Cleaned version and "
    "lists: He X, Wang S, Shi S, et al. Benchmarking deep learning models and automated model "
    "design for COVID-19 detection with chest CT scans. medRxiv 2020. "
    "doi:10.1101/2020.06.08.20125963",
    labels={"NCP (novel coronavirus)": "CP", "CP (common)": "NCP", "Normal": "healthy"},
    layout="NCP/PATIENT/SCAN/*.png, CP/…, Normal/…, and ct_train.json, ct_val.json, ct_test.json "
    "if the HKBU lists are to be used",
    read=_read,
)
