"""`groundglass prepare`: what the networks see, and what became of every slice."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import Result

Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def prepared(
    invoke: Invoke, phantom_study: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "seen"
    done = invoke("prepare", phantom_study, "--out", out, "--bundle", f"{bundle}/")
    assert done.exit_code == 0, done.output
    return out


def _table(folder: Path) -> list[dict[str, str]]:
    with (folder / "slices.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_every_slice_with_its_fate_and_reason(prepared: Path) -> None:
    rows = _table(prepared)
    assert sorted(int(row["index"]) for row in rows) == list(range(24))
    assert all(row["fate"] and row["reason"] for row in rows)


def test_the_classifiers_images_are_the_slices_that_stayed(prepared: Path) -> None:
    kept = {f"{int(row['index']):04d}.png" for row in _table(prepared) if row["fate"] == "kept"}
    assert kept
    assert {path.name for path in (prepared / "classifier").iterdir()} == kept


def test_every_slice_has_the_segmenters_image_and_its_mask(prepared: Path) -> None:
    for row in _table(prepared):
        name = f"{int(row['index']):04d}.png"
        image = cv2.imread(str(prepared / "segmenter" / name), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(prepared / "lungs" / name), cv2.IMREAD_UNCHANGED)
        assert image.shape == mask.shape == (256, 256)
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.any() == (float(row["lung_area_mm2"]) > 0)


def test_the_classifier_sees_nothing_far_from_the_lungs(prepared: Path) -> None:
    for path in (prepared / "classifier").iterdir():
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(prepared / "lungs" / path.name), cv2.IMREAD_UNCHANGED)
        near = cv2.dilate(mask, np.ones((11, 11), np.uint8))
        assert image.any()
        assert not image[near == 0].any()


def test_a_study_without_lungs_leaves_nothing_behind(
    invoke: Invoke, phantom_study: Path, lungless_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "seen"
    done = invoke("prepare", phantom_study, "--out", out, "--bundle", f"{lungless_bundle}/")
    assert done.exit_code == 1
    assert "look like lung" in done.stderr
    assert not out.exists()


def test_a_folder_with_files_is_left_alone(
    invoke: Invoke, phantom_study: Path, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.png").touch()
    done = invoke("prepare", phantom_study, "--out", tmp_path, "--bundle", f"{bundle}/")
    assert done.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]
