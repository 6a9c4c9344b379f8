"""A cohort that shares a patient or pixels with the training data is refused, by row."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_answers import made_bundle

from groundglass.cohort import Case, Cohort, patient_hash, study_fingerprint
from groundglass.cohort.phantoms import phantom_json
from groundglass.errors import InputError
from groundglass.evaluate.run.training_overlap import refuse_leaks
from groundglass.infer.bundle_metadata import BundleMetadata, CalibratedOn, TrainingHashes
from groundglass.phantom import PhantomSettings

SALT = "some salt"


def quiet(_done: int, _total: int) -> None:
    """Tell nobody."""


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    cases = []
    for seed in range(4):
        study = tmp_path / f"{seed}.phantom.json"
        study.write_text(phantom_json(PhantomSettings(seed=seed, matrix=64)), "utf-8")
        cases.append(Case(f"Name^{seed}", study, "CP", "test", "made", seed + 2))
    return Cohort(tmp_path / "cohort.csv", tuple(cases))


def trained_on(patients: list[str], studies: list[str]):
    hashes = TrainingHashes(
        SALT, frozenset(patient_hash(one, SALT) for one in patients), frozenset(studies)
    )
    return made_bundle(BundleMetadata(training_hashes=hashes))


def test_strangers_are_welcome(cohort: Cohort) -> None:
    check = refuse_leaks(cohort, trained_on(["Somebody^Else"], ["0" * 64]), quiet)
    assert check.looked_for
    assert "None of the 4 patients" in check.words


def test_a_patient_who_was_seen_is_refused_by_row_and_not_by_name(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="a patient in row 4;") as refused:
        refuse_leaks(cohort, trained_on(["Name^2"], []), quiet)
    assert "Name" not in str(refused.value)


def test_blanks_around_a_name_do_not_hide_it(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="row 3"):
        refuse_leaks(cohort, trained_on([" Name^1 "], []), quiet)


def test_the_same_pixels_under_another_name_are_refused(cohort: Cohort) -> None:
    seen = study_fingerprint(cohort.cases[3].study)
    with pytest.raises(InputError, match="the same pixels in row 5"):
        refuse_leaks(cohort, trained_on([], [seen]), quiet)


def test_both_are_told_at_once(cohort: Cohort) -> None:
    seen = study_fingerprint(cohort.cases[0].study)
    bundle = trained_on(["Name^1", "Name^2"], [seen])
    with pytest.raises(InputError, match="a patient in rows 3, 4; the same pixels in row 2"):
        refuse_leaks(cohort, bundle, quiet)


def test_what_thresholds_were_fitted_on_afterwards_counts_as_seen(cohort: Cohort) -> None:
    site = CalibratedOn(
        "before", "0" * 64, "test", (), "", {}, SALT, frozenset([patient_hash("Name^3", SALT)])
    )
    with pytest.raises(InputError, match=r"was calibrated on: in row 5;") as refused:
        refuse_leaks(cohort, made_bundle(BundleMetadata(calibrated_on=site)), quiet)
    assert "Name" not in str(refused.value)


def test_a_study_that_cannot_be_read_stops_nothing(cohort: Cohort) -> None:
    cohort.cases[1].study.unlink()
    seen = study_fingerprint(cohort.cases[3].study)
    with pytest.raises(InputError, match="row 5"):
        refuse_leaks(cohort, trained_on([], [seen]), quiet)


def test_a_bundle_that_keeps_no_hashes_says_that_it_cannot_be_known(cohort: Cohort) -> None:
    check = refuse_leaks(cohort, made_bundle(), quiet)
    assert not check.looked_for
    assert "cannot be known" in check.words
