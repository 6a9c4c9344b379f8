"""Thresholds are written into a bundle that has not learnt from the studies they are fitted on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import patient_hash
from groundglass.errors import BundleError, InputError
from groundglass.infer import Bundle, load_bundle
from groundglass.infer.bundle import MANIFEST
from groundglass.infer.bundle_metadata import ShareRule
from groundglass.train.verdict.fit import fit_rule
from groundglass.train.verdict.thresholds import StudyScore

STUDIES = [
    StudyScore("a", "here/p1", "here", ill=False, scores=(0.1,) * 9 + (0.95,)),
    StudyScore("b", "there/p2", "there", ill=True, scores=(0.95,) * 5 + (0.1,) * 5),
    StudyScore("c", "there/p2", "there", ill=True, scores=(0.95,) * 6 + (0.1,) * 4),
    StudyScore("d", "there/p3", "there", ill=None, scores=(0.95,)),
]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def bundle_with(tmp_path: Path) -> Callable[[Change], Bundle]:
    """The shipped bundle, its manifest changed."""

    def make(change: Change) -> Bundle:
        folder = tmp_path / "bundle"
        shutil.copytree(load_bundle("demonstration").folder, folder)
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest), "utf-8")
        return load_bundle(folder)

    return make


def test_the_thresholds_and_what_they_were_set_on_stand_in_the_bundle(
    bundle_with: Callable[[Change], Bundle],
) -> None:
    made = fit_rule(bundle_with(lambda manifest: None), STUDIES)
    rule = made.metadata.share_rule
    assert rule is not None
    assert rule.n == 3
    assert (rule.study_threshold, rule.kind_threshold) == (0.3, None)
    assert rule.probability(0.5) == pytest.approx(0.9, abs=0.001)
    assert "3 whole volumes of 2 patients" in rule.fitted_on
    assert "2 with marked lesions and 1 without: 1 of here and 2 of there" in rule.fitted_on
    (figures,) = (
        found for name, found in made.training["metrics"].items() if "other patients" in name
    )
    # With the only patient of its kind left out, each study is called the other kind's name.
    assert figures["called rightly"]["value"] < 1
    assert figures["volumes"] == 3


def test_what_the_scorer_has_learnt_from_sets_no_threshold(
    bundle_with: Callable[[Change], Bundle],
) -> None:
    def learnt(manifest: dict[str, Any]) -> None:
        seen = manifest["training_hashes"]
        seen["patients"].append(patient_hash("there/p2", seen["salt"]))

    bundle = bundle_with(learnt)
    before = bundle.path(MANIFEST).read_bytes()
    with pytest.raises(InputError, match="has learnt from: b, c"):
        fit_rule(bundle, STUDIES)
    assert bundle.path(MANIFEST).read_bytes() == before


@pytest.mark.parametrize("ill", [True, False])
def test_studies_of_one_kind_set_no_threshold(
    bundle_with: Callable[[Change], Bundle], ill: bool
) -> None:
    with pytest.raises(InputError, match="some of both"):
        fit_rule(bundle_with(lambda manifest: None), [replace(one, ill=ill) for one in STUDIES])


def test_a_bundle_that_votes_has_no_such_thresholds() -> None:
    with pytest.raises(BundleError, match="vote of groups"):
        fit_rule(load_bundle("paper"), STUDIES)


def test_the_shipped_rule_says_what_it_was_fitted_on() -> None:
    rule = load_bundle("demonstration").metadata.share_rule
    assert isinstance(rule, ShareRule)
    assert rule.n > 0
