"""Bundles: read as written, and refused when anything about them is not as the manifest says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from groundglass.errors import BundleError
from groundglass.infer import load_bundle, shipped_bundles
from groundglass.infer.bundle import ENCODER, MANIFEST
from groundglass.prepare import Recipe


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


def change(folder: Path, **values: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **values}))


def test_a_bundle_is_read_with_its_recipe(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert loaded.recipe == Recipe(feetward_ratio=0.5, judge_between=True, outside_hu=40.0)
    assert load_bundle("paper").recipe == Recipe()
    assert loaded.healthy in loaded.labels
    assert loaded.statement


def test_shipped_bundles_load_by_name() -> None:
    if not shipped_bundles():
        pytest.skip("no bundle ships yet")
    for name in shipped_bundles():
        assert load_bundle(name).name == name


def test_the_shipped_bundles_are_small() -> None:
    if not shipped_bundles():
        pytest.skip("no bundle ships yet")
    for name in shipped_bundles():
        size = sum(path.stat().st_size for path in load_bundle(name).folder.iterdir())
        assert size < 12e6


def test_one_changed_byte_is_noticed(copy: Path) -> None:
    data = bytearray((copy / ENCODER).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / ENCODER).write_bytes(bytes(data))
    with pytest.raises(BundleError, match="altered"):
        load_bundle(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / ENCODER).unlink()
    with pytest.raises(BundleError, match=ENCODER):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"schema": 99}, "form 99"),
        ({"recipe": {"group_size": 50}}, "recipe"),
        ({"sha256": None}, "understood"),
        ({"sha256": {}}, "hashes of no file"),
        ({"healthy": "nobody"}, "healthy class 'nobody'"),
        (
            {"labels": ["healthy", "healthy", "CP"], "operating_point": None},
            "different classes",
        ),
    ],
)
def test_a_manifest_of_another_form_is_refused(
    copy: Path, values: dict[str, object], words: str
) -> None:
    change(copy, **values)
    with pytest.raises(BundleError, match=words):
        load_bundle(copy)


def test_a_manifest_that_is_no_json_is_refused(copy: Path) -> None:
    (copy / MANIFEST).write_text("{")
    with pytest.raises(BundleError, match="understood"):
        load_bundle(copy)


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="groundglass models"):
        load_bundle("no-such-bundle")
    with pytest.raises(BundleError, match=MANIFEST):
        load_bundle(tmp_path)
