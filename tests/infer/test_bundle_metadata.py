"""The optional parts of a bundle: read as written, refused when they make no sense."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from groundglass.errors import BundleError
from groundglass.infer import load_bundle
from groundglass.infer.bundle_metadata import (
    BundleMetadata,
    Calibration,
    Conformal,
    ShareRule,
    parse_metadata,
)
from groundglass.infer.bundle_paths import MANIFEST

LABELS = ("CP", "NCP", "healthy")
CALIBRATION = {"method": "temperature", "temperature": 1.7, "fitted_on": "validation", "n": 42}
POINT = {
    "positive": ["CP", "NCP"],
    "threshold": 0.4,
    "sensitivity": 0.95,
    "specificity": 0.8,
    "fitted_on": "validation",
    "n": 42,
}
SHARE_RULE = {
    "slice_threshold": 0.5,
    "study_threshold": 0.1,
    "slope": 20,
    "kind_threshold": None,
    "fitted_on": "12 volumes",
    "n": 12,
}
HASHES = {"salt": "ab", "patients": ["p1", "p2"], "studies": ["s1"]}
CONFORMAL = {
    "alpha": 0.1,
    "findings_quantile": 0.3,
    "none_quantile": 0.2,
    "fitted_on": "a site",
    "n_ill": 20,
    "n_not_ill": 30,
}
SITE = {
    "bundle": "demonstration 1",
    "cohort_sha256": "0" * 64,
    "split": "validation",
    "refitted": ["conformal"],
    "criterion": "",
    "cross_fitted": {"ill covered": {"value": 0.9, "low": 0.7, "high": 1.0, "n": 20}},
    "salt": "ab",
    "patients": ["p1"],
}
SELF_TEST = {"probabilities": {"CP": 0.2, "NCP": 0.3, "healthy": 0.5}, "lung_share": 0.1}


def test_a_bundle_without_them_has_none() -> None:
    assert parse_metadata({}, LABELS) == BundleMetadata()


def test_a_bundle_with_them_is_loaded_with_them(bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest |= {
        "calibration": CALIBRATION,
        "share_rule": SHARE_RULE,
        "operating_point": POINT,
        "conformal": CONFORMAL,
        "calibrated_on": SITE,
        "training_hashes": HASHES,
        "self_test": SELF_TEST,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    metadata = load_bundle(folder).metadata
    assert metadata.calibration == Calibration(1.7, "validation", 42)
    assert metadata.share_rule == ShareRule(0.5, 0.1, 20.0, None, "12 volumes", 12)
    assert metadata.operating_point is not None
    assert metadata.operating_point.positive == ("CP", "NCP")
    assert metadata.operating_point.score({"CP": 0.25, "NCP": 0.5, "healthy": 0.25}) == 0.75
    assert metadata.conformal == Conformal(0.1, 0.3, 0.2, "a site", 20, 30)
    assert metadata.calibrated_on is not None
    assert metadata.calibrated_on.patients == {"p1"}
    assert metadata.calibrated_on.cross_fitted == SITE["cross_fitted"]
    assert metadata.training_hashes is not None
    assert metadata.training_hashes.patients == {"p1", "p2"}
    assert metadata.self_test is not None
    assert metadata.self_test.probabilities == SELF_TEST["probabilities"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("calibration", {**CALIBRATION, "method": "magic"}),
        ("calibration", {**CALIBRATION, "temperature": 0}),
        ("calibration", {**CALIBRATION, "temperature": "hot"}),
        ("calibration", {"method": "temperature"}),
        ("calibration", 1.5),
        ("operating_point", {**POINT, "positive": ["flu"]}),
        ("operating_point", {**POINT, "positive": []}),
        ("operating_point", {**POINT, "positive": ["CP", "CP"]}),
        ("operating_point", {**POINT, "positive": ["CP", "NCP", "healthy"]}),
        ("operating_point", {**POINT, "threshold": 1.5}),
        ("share_rule", {**SHARE_RULE, "slope": 0}),
        ("share_rule", {**SHARE_RULE, "study_threshold": 0}),
        ("share_rule", {**SHARE_RULE, "slice_threshold": 1.1}),
        ("share_rule", {**SHARE_RULE, "kind_threshold": 0.4}),
        ("share_rule", {**SHARE_RULE, "n": None}),
        ("conformal", {**CONFORMAL, "alpha": 0}),
        ("conformal", {**CONFORMAL, "alpha": 1}),
        ("conformal", {**CONFORMAL, "findings_quantile": 1.5}),
        ("conformal", {**CONFORMAL, "none_quantile": float("-inf")}),
        ("conformal", {**CONFORMAL, "n_ill": None}),
        ("calibrated_on", {**SITE, "patients": "p1"}),
        ("calibrated_on", {**SITE, "cross_fitted": None}),
        ("calibrated_on", {"bundle": "x"}),
        ("training_hashes", {**HASHES, "patients": "p1"}),
        ("training_hashes", {**HASHES, "studies": [1]}),
        ("training_hashes", {"patients": [], "studies": []}),
        ("self_test", {**SELF_TEST, "probabilities": {"CP": 1.0}}),
        ("self_test", {**SELF_TEST, "lung_share": float("nan")}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, part: object) -> None:
    with pytest.raises(BundleError, match=f"a {name} in bundle.json") as refused:
        parse_metadata({name: part}, LABELS)
    assert refused.value.expected
    assert refused.value.action
