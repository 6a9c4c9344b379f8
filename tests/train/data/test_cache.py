"""The prepared-slice cache: fresh entries are read, stale ones made anew, failures named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.cohort import Case, Cohort
from groundglass.errors import ReadError
from groundglass.infer import load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.phantom import PhantomSettings, make_phantom
from groundglass.prepare import Letterbox, Recipe, prepare
from groundglass.train.data import cache as cache_module
from groundglass.train.data.cache import CacheSettings, PreparedCohort, prepare_cohort
from groundglass.train.data.prepare_case import Lungs
from groundglass.train.data.realism import JUDGED, RealOrMade

pytest.importorskip("torch", reason="needs groundglass[train]")

from made_training import recipe


@pytest.fixture(scope="module")
def lungs() -> Lungs:
    return Lungs.of(load_bundle("demonstration").path(SEGMENTER), true_lungs=True)


def prepared(
    cases: tuple[Case, ...], lungs: Lungs, folder: Path, settings: Recipe | None = None
) -> PreparedCohort:
    return prepare_cohort(
        cases, lungs, settings or recipe(), CacheSettings(folder, processes=1), lambda *_: None
    )


def test_images_are_what_service_prepares_and_lesions_lie_on_them(
    tiny_cohort: Cohort, lungs: Lungs, tmp_path: Path
) -> None:
    case = tiny_cohort.cases[0]
    (found,) = prepared((case,), lungs, tmp_path).cases
    phantom = make_phantom(PhantomSettings(**json.loads(case.study.read_text())))
    frame = Letterbox.of(phantom.volume.geometry, recipe().image_size)
    square = np.stack([frame.forward(m.astype(np.float32), 0.0) > 0.5 for m in phantom.lung])
    expected = prepare(phantom.volume, square, recipe()).images
    kept = sorted(expected)
    np.testing.assert_array_equal(found.images(), np.stack([expected[k] for k in kept]))
    lesion = found.lesion()
    assert lesion is not None
    assert lesion.shape == found.images().shape
    assert set(np.unique(lesion)) <= {0, 1}
    true = np.stack([frame.forward(phantom.lesion[k].astype(np.float32), 0.0) > 0.5 for k in kept])
    np.testing.assert_array_equal(lesion.astype(bool), true)
    assert isinstance(found.images(), np.memmap)


def test_what_is_fresh_is_read_and_what_is_stale_made_anew(
    tiny_cohort: Cohort, lungs: Lungs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = cache_module.prepare_case

    def counted(case: Case, *rest: object) -> object:
        made.append(case.row)
        return real(case, *rest)

    monkeypatch.setattr(cache_module, "prepare_case", counted)
    study = tmp_path / "one.phantom.json"
    study.write_bytes(tiny_cohort.cases[0].study.read_bytes())
    cases = (replace(tiny_cohort.cases[0], study=study),)
    folder = tmp_path / "cache"
    first = prepared(cases, lungs, folder).cases[0]
    assert prepared(cases, lungs, folder).cases[0].path == first.path
    assert len(made) == 1
    # What comes after preparing is no reason to prepare again; what decides the images is.
    prepared(cases, lungs, folder, replace(recipe(), vote_threshold=0.5, group_size=9))
    assert len(made) == 1
    prepared(cases, lungs, folder, replace(recipe(), mask_margin_px=9))
    assert len(made) == 2
    study.write_text(study.read_text().replace('"seed": 0', '"seed": 99'))
    assert prepared(cases, lungs, folder).cases[0].path != first.path
    assert len(made) == 3
    # An entry cut off before its last file was written does not count.
    first.path.with_suffix(".json").unlink()
    study.write_text(study.read_text().replace('"seed": 99', '"seed": 0'))
    assert prepared(cases, lungs, folder).cases[0].path == first.path
    assert len(made) == 4
    assert not list(folder.glob("*.part"))


def test_another_segmenter_makes_another_entry(tiny_cohort: Cohort, tmp_path: Path) -> None:
    network = tmp_path / "net.onnx"
    network.write_bytes(b"one")
    by = Lungs.of(network)
    case = tiny_cohort.cases[0]
    job = cache_module._job(case, by, recipe(), tmp_path)
    network.write_bytes(b"two")
    assert cache_module._job(case, Lungs.of(network), recipe(), tmp_path).stem != job.stem


def test_cases_that_cannot_be_used_are_set_aside_by_row_without_names(
    tiny_cohort: Cohort, lungs: Lungs, tmp_path: Path
) -> None:
    good = tiny_cohort.cases[0]
    few = tmp_path / "few.phantom.json"
    few.write_text('{"label": "CP", "seed": 1, "matrix": 64, "slice_count": 5}')
    broken = tmp_path / "MUSTERMANN.phantom.json"
    broken.write_text("{")
    picture = tmp_path / "black.png"
    cv2.imwrite(str(picture), np.zeros((64, 64), np.uint8))
    cases = (
        replace(good, study=tmp_path / "MUSTERMANN.nii", row=2),
        good,
        replace(good, study=few, row=4),
        replace(good, study=broken, row=5),
        replace(good, study=picture, row=6),
    )
    settings = Recipe(min_lung_ml=1.0)
    found = prepared(cases, lungs, tmp_path / "cache", settings)
    assert [case.case.row for case in found.cases] == [good.row]
    reasons = {one.row: one.reason for one in found.excluded}
    assert sorted(reasons) == [2, 4, 5, 6]
    assert "5 slices" in reasons[4]
    assert not any("MUSTERMANN" in reason or str(tmp_path) in reason for reason in reasons.values())


def test_processes_prepare_what_one_process_prepares(
    tiny_cohort: Cohort, lungs: Lungs, tmp_path: Path
) -> None:
    cases = tiny_cohort.cases[:3]
    told: list[tuple[int, int]] = []
    many = prepare_cohort(
        cases, lungs, recipe(), CacheSettings(tmp_path / "many", 2), lambda *one: told.append(one)
    )
    one = prepared(cases, lungs, tmp_path / "one")
    for left, right in zip(many.cases, one.cases, strict=True):
        assert left.path.read_bytes() == right.path.read_bytes()
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_lesions_are_laid_into_a_healthy_slice_that_asks_for_them(tmp_path: Path) -> None:
    patient = make_phantom(PhantomSettings(seed=3, matrix=256, slice_count=20))
    middle = patient.volume.hu[10]
    picture = tmp_path / "slice.png"
    cv2.imwrite(str(picture), np.clip((middle + 1350) / 1500 * 255, 0, 255).astype(np.uint8))
    plain = Case("p", picture, "healthy", "train", "made", 2)
    laid = replace(
        plain,
        label="CP",
        extra={"laid_label": "CP", "laid_severity": "0.9", "laid_seed": "4"},
    )
    by = Lungs.of(load_bundle("demonstration").path(SEGMENTER))
    found = prepared((plain, laid), by, tmp_path / "cache", Recipe()).cases
    healthy, ill = found
    assert healthy.lesion() is None
    lesion = ill.lesion()
    assert lesion is not None
    assert lesion.sum() > 50
    changed = healthy.images() != ill.images()
    assert (changed & (lesion == 1)).sum() > 0.8 * lesion.sum()
    assert not healthy.is_volume


def test_laid_in_lesions_that_look_made_are_thrown_out_and_said(tmp_path: Path) -> None:
    patient = make_phantom(PhantomSettings(seed=3, matrix=256, slice_count=20))
    picture = tmp_path / "slice.png"
    grey = np.clip((patient.volume.hu[10] + 1350) / 1500 * 255, 0, 255).astype(np.uint8)
    cv2.imwrite(str(picture), grey)
    told = {"laid_label": "CP", "laid_severity": "0.9", "laid_seed": "4"}
    cases = []
    for name, limit in (("strict", 0.4), ("lenient", 0.6)):
        RealOrMade((0.0,) * len(JUDGED), 0.0, limit, 9, 9, 0.5, 0.4, 0.6).write(tmp_path / name)
        cases.append(Case("p", picture, "CP", "train", "made", 2, {**told, "laid_realism": name}))
    by = Lungs.of(load_bundle("demonstration").path(SEGMENTER))
    found = prepared(tuple(cases), by, tmp_path / "cache", Recipe())
    assert [one.case.extra["laid_realism"] for one in found.cases] == ["lenient"]
    assert [one.reason for one in found.excluded] == [
        "laid-in lesions that look made; expected such as real ones might look"
    ]


def test_a_reason_names_no_file_of_the_study(tmp_path: Path) -> None:
    (tmp_path / "MUSTERMANN.dcm").write_bytes(b"x")
    case = Case("somebody", tmp_path, "CP", "train", "hospital", 3)
    error = ReadError("no pixels in MUSTERMANN.dcm", expected="pixels", action="Look.")
    assert "MUSTERMANN" in str(error)
    assert cache_module.reason_of(case, error) == "no pixels in a file; expected pixels"
