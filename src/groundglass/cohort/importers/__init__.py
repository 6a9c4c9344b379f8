"""Importers: from a downloaded public data set to a cohort."""

from __future__ import annotations

from groundglass.cohort.importers.catalogue import (
    DATASETS,
    Imported,
    ImportSettings,
    import_dataset,
)

__all__ = ["DATASETS", "ImportSettings", "Imported", "import_dataset"]
