"""The lung segmenter's cohort: marked slices and whole volumes, each patient in one split.

    python -m groundglass.train.segmenter.lung_cohort --data DATA --out lungs/cohort.csv
    python -m groundglass.train.segmenter.lung_cohort --data DATA --out lungs/fold-1.csv --fold 1

DATA holds lung-masks, lung-volumes and lesion-slices. The slices of lung-masks keep their splits.
The patients with whole volumes are dealt into folds (column `fold`), and their single slices go
with them; `--fold K` makes that fold the test, so that a volume can be scored by a segmenter that
has seen nothing of its patient. Without it all of them train.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from groundglass.cohort import Case, Cohort, SplitSettings, split_cohort, write_cohort
from groundglass.cohort.importers import import_dataset
from groundglass.cohort.joining import join_cohorts
from groundglass.cohort.splitting import FOLD
from groundglass.errors import SettingsError

_FOLDS = 2


def lung_cohort(data: Path, out: Path, held_out: int = 0) -> Cohort:
    """Build the table.

    Parameters
    ----------
    data : Path
        Holds the three sets.
    out : Path
        Where the table will be written.
    held_out : int
        The fold that is tested on; 0: none.

    Raises
    ------
    SettingsError
        No such fold.
    """
    if not 0 <= held_out <= _FOLDS:
        raise SettingsError(
            f"fold {held_out}", expected=f"1 to {_FOLDS}, or 0 for none", action="Choose one."
        )
    singles, volumes, lesions = (
        import_dataset(name, data / folder, out).cohort
        for name, folder in (
            ("finding-lungs", "lung-masks"),
            ("lung-volumes", "lung-volumes"),
            ("lesion-slices", "lesion-slices"),
        )
    )
    dealt = split_cohort(volumes, SplitSettings(validation=0, test=0, folds=_FOLDS))
    fold_of = {case.patient: case.extra[FOLD] for case in dealt.cases}

    def placed(case: Case) -> Case:
        fold = fold_of.get(case.patient, "")
        split = "test" if fold == str(held_out) else "train"
        return replace(case, split=split, extra={**case.extra, FOLD: fold})

    joined = join_cohorts([singles, volumes, lesions], out)
    cases = (one if one.source == "finding-lungs" else placed(one) for one in joined.cases)
    return replace(joined, cases=tuple(cases))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the three sets")
    parser.add_argument("--out", type=Path, required=True, help="the table")
    parser.add_argument("--fold", type=int, default=0, help="fold of patients to test on; 0: none")
    given = parser.parse_args(arguments)
    cohort = lung_cohort(given.data.resolve(), given.out.resolve(), given.fold)
    write_cohort(cohort, cohort.path)


if __name__ == "__main__":
    main()
