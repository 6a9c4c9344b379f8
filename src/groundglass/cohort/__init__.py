"""The cohort: a table of patients with their studies, labels, splits and sources."""

from __future__ import annotations

from groundglass.cohort.case import PNEUMONIA, SPLITS, Case, Cohort, patient_hash
from groundglass.cohort.checks.check import CheckSettings, check_cohort
from groundglass.cohort.checks.cohort_report import CohortReport, Finding, FindingKind, Severity
from groundglass.cohort.fingerprint import study_fingerprint
from groundglass.cohort.joining import join_cohorts, slices_of
from groundglass.cohort.opening import StudyKind, open_slice, open_study, study_kind
from groundglass.cohort.phantoms import PhantomCohortSettings, write_phantom_cohort
from groundglass.cohort.splitting import SplitSettings, hold_out_fold, split_cohort
from groundglass.cohort.table import read_cohort, write_cohort

__all__ = [
    "PNEUMONIA",
    "SPLITS",
    "Case",
    "CheckSettings",
    "Cohort",
    "CohortReport",
    "Finding",
    "FindingKind",
    "PhantomCohortSettings",
    "Severity",
    "SplitSettings",
    "StudyKind",
    "check_cohort",
    "hold_out_fold",
    "join_cohorts",
    "open_slice",
    "open_study",
    "patient_hash",
    "read_cohort",
    "slices_of",
    "split_cohort",
    "study_fingerprint",
    "study_kind",
    "write_cohort",
    "write_phantom_cohort",
]
