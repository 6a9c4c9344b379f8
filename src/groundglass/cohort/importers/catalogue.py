"""The data sets there are importers for, and how one becomes a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from groundglass.cohort.case import Case, Cohort
from groundglass.cohort.image_files import STACK_COLUMNS
from groundglass.cohort.importers.cc_ccii import CC_CCII
from groundglass.cohort.importers.cov19_ct_db import COV19_CT_DB
from groundglass.cohort.importers.covid_ct_md import COVID_CT_MD
from groundglass.cohort.importers.covidx_ct import COVIDX_CT
from groundglass.cohort.importers.dataset import Dataset, Entry
from groundglass.cohort.importers.finding_lungs import FINDING_LUNGS
from groundglass.cohort.importers.folders import FOLDERS
from groundglass.cohort.importers.lesion_slices import LESION_SLICES
from groundglass.cohort.importers.lung_volumes import LUNG_VOLUMES
from groundglass.cohort.importers.mosmed import MOSMED
from groundglass.cohort.importers.stoic2021 import STOIC2021
from groundglass.cohort.importers.ucsd_covid_ct import UCSD_COVID_CT
from groundglass.errors import ReadError, SettingsError

#: By name, in the order in which they are shown.
DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        COVID_CT_MD,
        CC_CCII,
        COVIDX_CT,
        MOSMED,
        STOIC2021,
        COV19_CT_DB,
        UCSD_COVID_CT,
        FINDING_LUNGS,
        LUNG_VOLUMES,
        LESION_SLICES,
        FOLDERS,
    )
}


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """What the data set does not say."""

    source: str = ""
    """The word for the column `source`; empty for the data set's name. Matters for `folders`, where
    only you know which hospital it is."""
    stated: Mapping[str, str] = field(default_factory=dict)
    """Columns about images (`window_center_hu` and so on, see `STACK_COLUMNS`) that you know for
    certain; written into every row."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.stated) - set(STACK_COLUMNS))
        if unknown:
            raise SettingsError(
                f"the column {', '.join(unknown)}",
                expected=", ".join(STACK_COLUMNS),
                action="State only what images do not say about themselves.",
            )


@dataclass(frozen=True, slots=True)
class Imported:
    """A cohort made from a data set."""

    cohort: Cohort
    """Not yet written."""
    dataset: Dataset
    """Its licence and citation."""
    notes: tuple[str, ...]
    """What was left out, and what cannot be known."""


def import_dataset(
    name: str, folder: Path, table: Path, settings: ImportSettings | None = None
) -> Imported:
    """List a downloaded data set as a cohort; opens no study.

    Patients get the source before their name (`cc-ccii/NCP_16`), so that tables can be joined;
    whom another data set has too bears its name.

    Parameters
    ----------
    name : str
        Of `DATASETS`.
    folder : Path
        The data set, as unpacked.
    table : Path
        Where the cohort will be written.
    settings : ImportSettings, optional
        What the data set does not say.

    Raises
    ------
    SettingsError
        No importer of that name.
    ReadError
        The folder is missing, or laid out in another way.
    """
    settings = settings or ImportSettings()
    if name not in DATASETS:
        raise SettingsError(
            f"no importer called {name!r}",
            expected=", ".join(DATASETS),
            action="Give one of these.",
        )
    if not folder.is_dir():
        raise ReadError(
            "no folder of that name", expected="the data set's folder", action="Check the path."
        )
    listing = DATASETS[name].read(folder.absolute())
    source = settings.source or name
    ordered = sorted(listing.entries, key=lambda entry: (entry.patient, entry.study))
    cases = tuple(
        _case(entry, source, settings.stated, row) for row, entry in enumerate(ordered, 2)
    )
    return Imported(Cohort(table.absolute(), cases), DATASETS[name], listing.notes)


def _case(entry: Entry, source: str, stated: Mapping[str, str], row: int) -> Case:
    return Case(
        patient=entry.person or f"{source}/{entry.patient}",
        study=entry.study,
        label=entry.label,
        split=entry.split,
        source=f"{source}/{entry.origin}" if entry.origin else source,
        row=row,
        extra={**entry.extra, **stated},
    )
