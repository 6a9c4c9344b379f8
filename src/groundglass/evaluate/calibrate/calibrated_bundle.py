"""The calibrated bundle as a folder: the networks copied, the manifest with what was fitted."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from groundglass.cohort import Case, patient_hash
from groundglass.evaluate.calibrate.calibrating import CrossFitted, SiteCalibration
from groundglass.evaluate.run.evaluation import CohortFacts
from groundglass.infer import Bundle, load_bundle
from groundglass.infer.bundle import MANIFEST
from groundglass.report.writing import write_all


@dataclass(frozen=True, slots=True)
class Site:
    """Whose cases a bundle was calibrated on."""

    cohort: CohortFacts
    """The table."""
    cases: Sequence[Case]
    """Its cases; of their patients salted hashes are kept."""
    criterion: str
    """How the study threshold was chosen."""


def write_calibrated(
    bundle: Bundle, name: str, found: SiteCalibration, site: Site, directory: Path
) -> Bundle:
    """Write a whole new bundle, or nothing; and load it.

    Parameters
    ----------
    bundle : Bundle
        What was calibrated.
    name : str
        What the new one is called.
    found : SiteCalibration
        What was fitted.
    site : Site
        On whose cases.
    directory : Path
        Missing or empty.

    Raises
    ------
    ReportError
        The directory holds other things, or cannot be written.
    """
    manifest = json.loads(bundle.path(MANIFEST).read_text("utf-8"))
    manifest |= _fitted(bundle, name, found, site)
    if found.rule is not None:
        # It was a threshold on probabilities of the slope there was before.
        manifest.pop("operating_point", None)
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    files = {file: bundle.path(file).read_bytes() for file in bundle.hashes}
    write_all({**files, MANIFEST: text.encode()}, directory, MANIFEST)
    return load_bundle(directory)


def _fitted(bundle: Bundle, name: str, found: SiteCalibration, site: Site) -> dict[str, Any]:
    """The parts of the manifest that are other than the bundle's."""
    conformal, salt = found.conformal, secrets.token_hex(16)
    refitted = ["conformal"] if found.rule is None else ["study_threshold", "slope", "conformal"]
    parts = {
        "name": name,
        "statement": f"{bundle.statement} Its thresholds were then fitted on "
        f"{conformal.n_ill} patients with and {conformal.n_not_ill} without pneumonia of one site; "
        "they hold for patients like those.",
        "conformal": asdict(conformal),
        "calibrated_on": {
            "bundle": f"{bundle.name} {bundle.version}",
            "cohort_sha256": site.cohort.sha256,
            "split": site.cohort.split,
            "refitted": refitted,
            "criterion": site.criterion if found.rule is not None else "",
            "cross_fitted": {one.name: _figure(one) for one in found.cross_fitted},
            "salt": salt,
            "patients": sorted({patient_hash(case.patient, salt) for case in site.cases}),
        },
    }
    return parts if found.rule is None else parts | {"share_rule": asdict(found.rule)}


def _figure(one: CrossFitted) -> dict[str, float | int | None]:
    ends = one.share.interval
    return {
        "value": one.share.value,
        "low": None if ends is None else ends.low,
        "high": None if ends is None else ends.high,
        "n": one.n,
    }
