"""STOIC2021: MetaImage volumes with the result of PCR and the outcome after a month."""

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

_LABELS = {"1": "CP", "0": "PCR-negative"}


def _read(folder: Path) -> Listing:
    table = folder / "metadata" / "reference.csv"
    rows = read_rows(table, "PatientID", "probCOVID", "probSevere")
    entries: list[Entry] = []
    for row in rows:
        study = folder / "data" / "mha" / f"{row['PatientID']}.mha"
        covid, severe = (row[name].removesuffix(".0") for name in ("probCOVID", "probSevere"))
        if covid not in _LABELS:
            raise another_layout(f"probCOVID {row['probCOVID']!r} in reference.csv", "0 or 1")
        if study.exists():
            extra = {"severe": severe}
            entries.append(Entry(row["PatientID"], study, _LABELS[covid], extra=extra))
    if not entries:
        raise another_layout("no volumes of reference.csv", "data/mha/PATIENT.mha")
    missing = len(rows) - len(entries)
    return Listing(
        entries,
        (
            *left_out(missing, "patients of reference.csv have no volume in the folder."),
            "PCR-negative is neither healthy nor other pneumonia: those patients were suspected.",
        ),
    )


STOIC2021 = Dataset(
    name="stoic2021",
    title="STOIC2021 public training set",
    url="https://registry.opendata.aws/stoic2021-training/",
    licence="CC BY-NC 4.0",
    citation="Revel MP, Boussouar S, de Margerie-Mellon C, et al. Study of thoracic CT in "
    "COVID-19: the STOIC project. Radiology 2021;301:E361-E370. doi:10.1148/radiol.2021210384",
    labels={"probCOVID 1": "CP", "probCOVID 0": "PCR-negative"},
    layout="data/mha/PATIENT.mha, metadata/reference.csv",
    read=_read,
)
