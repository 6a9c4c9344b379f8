"""Splits and folds by patient: stratified by class and source, the same whatever the row order."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groundglass.cohort.case import Case, Cohort
from groundglass.errors import InputError, SettingsError

#: The column that `folds` fills: 1 to K, empty for cases of the test split.
FOLD = "fold"
_SHOWN_ROWS = 8


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How to share out the patients."""

    validation: float = 0.1
    test: float = 0.2
    """`validation`, `test`: shares of each class's patients, 0 or more; the rest trains. 10 %
    validation is the paper's; 20 % test is near its 78 of 348."""
    seed: int = 0
    """Another seed gives another split."""
    folds: int = 0
    """0, or the number of folds for cross-validation, 2 at least. Every patient outside the test
    split gets one."""
    keep_test: bool = False
    """Leave the cases that the table calls "test" where they are, as for an official test set;
    `test` must then be 0."""

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise SettingsError(
                f"shares {self.validation:g} and {self.test:g}",
                expected="shares of 0 or more that leave something to train on",
                action="Lower them.",
            )
        if self.folds != 0 and self.folds < 2:
            raise SettingsError(
                f"{self.folds} folds", expected="0, or 2 and more", action="Choose."
            )
        if self.keep_test and self.test:
            raise SettingsError(
                f"a test share of {self.test:g} where the test split is kept",
                expected="a share of 0",
                action="Set test to 0, or do not keep the old test split.",
            )

    @property
    def shares(self) -> dict[str, float]:
        """Share per split; only those that are to be filled."""
        given = {"validation": self.validation, "test": self.test}
        return {
            "train": 1.0 - self.validation - self.test,
            **{split: share for split, share in given.items() if share > 0},
        }


def split_cohort(cohort: Cohort, settings: SplitSettings) -> Cohort:
    """The cohort with new splits, and folds where asked for.

    All rows of a patient go the same way. Each class has its share in every split as exactly as
    whole patients allow, one at least, and within it each source as nearly as possible. What
    decides between patients is a hash of seed and patient, so row order changes nothing.

    Parameters
    ----------
    cohort : Cohort
        Old splits are replaced (but see `keep_test`).
    settings : SplitSettings
        Shares, seed and folds.

    Raises
    ------
    InputError
        A patient with two labels, a class with too few patients, or a patient of whom only some
        rows are in a test split that is kept.
    """
    held = _kept_test(cohort) if settings.keep_test else frozenset()
    rest = [case for case in cohort.cases if case.patient not in held]
    by_label = _patients_by_label(rest, settings.seed)
    split_of = dict.fromkeys(held, "test")
    for label, patients in by_label.items():
        counts = _counts(label, len(patients), settings.shares)
        split_of.update(_deal(patients, counts))
    fold_of = dict.fromkeys(split_of, "")
    if settings.folds:
        for label, patients in by_label.items():
            staying = [patient for patient in patients if split_of[patient] != "test"]
            fold_of.update(_deal(staying, _fold_counts(label, len(staying), settings.folds)))
    return replace(
        cohort,
        cases=tuple(
            replace(
                case,
                split=split_of[case.patient],
                extra={**case.extra, FOLD: fold_of[case.patient]} if settings.folds else case.extra,
            )
            for case in cohort.cases
        ),
    )


def hold_out_fold(cohort: Cohort, fold: int) -> Cohort:
    """The cohort of one round of cross-validation.

    The fold is "test", the next one (after the last the first) "validation", the others "train".
    Cases without a fold, those of the test split, are in no split.

    Parameters
    ----------
    cohort : Cohort
        With the column `fold` that `split_cohort` writes.
    fold : int
        1 to the number of folds.

    Raises
    ------
    InputError
        No such fold.
    """
    known = sorted({case.extra.get(FOLD, "") for case in cohort.cases} - {""})
    if known != sorted(str(k) for k in range(1, len(known) + 1)) or str(fold) not in known:
        raise InputError(
            f"the folds {', '.join(known) or '(none)'}, and fold {fold} asked for",
            expected="folds 1, 2, … and one of them",
            action="Make them with `groundglass cohort split --folds K`.",
        )
    words = {"": "", str(fold): "test", str(fold % len(known) + 1): "validation"}
    if len(known) == 2:
        del words[str(fold % 2 + 1)]  # two folds: the other one trains
    return replace(
        cohort,
        cases=tuple(
            replace(case, split=words.get(case.extra.get(FOLD, ""), "train"))
            for case in cohort.cases
        ),
    )


def _kept_test(cohort: Cohort) -> frozenset[str]:
    held = {case.patient for case in cohort.of_split("test").cases}
    torn = [case.row for case in cohort.cases if case.patient in held and case.split != "test"]
    if torn:
        raise InputError(
            f"patients with some rows in the test split and others not ({rows_in_words(torn)})",
            expected="every patient in one split",
            action="Correct the split of these rows.",
        )
    return frozenset(held)


def _patients_by_label(cases: Sequence[Case], seed: int) -> dict[str, list[str]]:
    """The patients of each class, source by source, in an order that the seed decides."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    sources: defaultdict[str, set[str]] = defaultdict(set)
    for case in cases:
        labels[case.patient].add(case.label)
        sources[case.patient].add(case.source)
    torn = [case.row for case in cases if len(labels[case.patient]) > 1]
    if torn:
        raise InputError(
            f"patients with two labels ({rows_in_words(torn)})",
            expected="one label for every patient",
            action="Correct the labels, or leave rows out.",
        )

    def order(patient: str) -> tuple[list[str], str]:
        key = hashlib.sha256(f"{seed}\0{patient}".encode()).hexdigest()
        return sorted(sources[patient]), key

    by_label: dict[str, list[str]] = {label: [] for label in sorted({c.label for c in cases})}
    for patient in sorted(labels, key=order):
        by_label[next(iter(labels[patient]))].append(patient)
    return by_label


def _counts(label: str, patients: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Patients of a class per split: the share, rounded, and one at least; the rest trains."""
    counts = {
        split: max(1, int(share * patients + 0.5))
        for split, share in shares.items()
        if split != "train"
    }
    training = patients - sum(counts.values())
    if training < 1:
        raise InputError(
            f"{patients} patients of the class {label!r}",
            expected=f"at least {len(shares)}, one for each of {', '.join(shares)}",
            action="Add patients, leave the class out, or ask for fewer splits.",
        )
    return {"train": training, **counts}


def _fold_counts(label: str, patients: int, folds: int) -> dict[str, int]:
    if patients < folds:
        raise InputError(
            f"{patients} patients of the class {label!r} for {folds} folds",
            expected="at least one for each fold",
            action="Ask for fewer folds, or leave the class out.",
        )
    whole, more = divmod(patients, folds)
    return {str(k + 1): whole + (k < more) for k in range(folds)}


def _deal(patients: Sequence[str], counts: Mapping[str, int]) -> dict[str, str]:
    """Deal patients out so that every stretch of them has about the shares of the whole.

    Patients lie source by source, so each source is a stretch. Whoever is furthest behind its
    share takes the next one; at the end each has exactly its count.
    """
    given = dict.fromkeys(counts, 0)
    dealt: dict[str, str] = {}
    for number, patient in enumerate(patients, 1):
        place = max(
            (name for name in counts if given[name] < counts[name]),
            key=lambda name: counts[name] * number / len(patients) - given[name],
        )
        given[place] += 1
        dealt[patient] = place
    return dealt


def rows_in_words(rows: Sequence[int]) -> str:
    """Row numbers for a message; of many, the first and how many more."""
    unique = sorted(set(rows))
    shown = ", ".join(str(row) for row in unique[:_SHOWN_ROWS])
    more = len(unique) - _SHOWN_ROWS
    word = "row" if len(unique) == 1 else "rows"
    return f"{word} {shown}" + (f" and {more} more" if more > 0 else "")
