"""Adding a bundle to the store: its name then finds it, and nothing is overwritten unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from groundglass.errors import BundleError
from groundglass.infer import load_bundle, shipped_bundles
from groundglass.infer.bundle import ENCODER, known_bundles
from groundglass.infer.bundle_paths import MANIFEST, store_folder
from groundglass.infer.model_store import add_bundle


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert store_folder() == tmp_path / "data" / "groundglass" / "models"
    return store_folder()


def made(bundle: Path, folder: Path, **values: object) -> Path:
    """A copy of a bundle with some of its manifest changed."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    (folder / MANIFEST).write_text(json.dumps({**manifest, **values}), "utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*")
            if p.is_file()}  # fmt: skip


def test_its_name_finds_it(bundle: Path, tmp_path: Path, store: Path) -> None:
    folder = made(bundle, tmp_path / "mine", name="mine")
    assert "mine" not in known_bundles()
    added = add_bundle(folder)
    assert added.folder == store / "mine"
    assert load_bundle("mine").folder == store / "mine"
    assert known_bundles() == (*shipped_bundles(), "mine")
    assert contents(store / "mine") == contents(folder)


def test_adding_it_again_changes_nothing(bundle: Path, tmp_path: Path, store: Path) -> None:
    folder = made(bundle, tmp_path / "mine", name="mine")
    add_bundle(folder)
    before = (store / "mine" / MANIFEST).stat().st_mtime_ns
    add_bundle(folder)
    assert (store / "mine" / MANIFEST).stat().st_mtime_ns == before


def test_another_of_its_name_gives_way_only_when_asked(
    bundle: Path, tmp_path: Path, store: Path
) -> None:
    add_bundle(made(bundle, tmp_path / "one", name="mine", version="1"))
    second = made(bundle, tmp_path / "two", name="mine", version="2")
    before = contents(store)
    with pytest.raises(BundleError, match=r"store \(version 1; this is version 2\)"):
        add_bundle(second)
    assert contents(store) == before
    assert add_bundle(second, replace=True).version == "2"
    assert load_bundle("mine").version == "2"
    assert [path.name for path in store.iterdir()] == ["mine"]


def test_one_that_was_damaged_in_the_store_is_told_and_can_be_replaced(
    bundle: Path, tmp_path: Path, store: Path
) -> None:
    folder = made(bundle, tmp_path / "mine", name="mine")
    add_bundle(folder)
    (store / "mine" / ENCODER).write_bytes(b"")
    with pytest.raises(BundleError, match="not whole"):
        add_bundle(folder)
    add_bundle(folder, replace=True)
    assert contents(store / "mine") == contents(folder)


def test_a_damaged_bundle_is_not_added(bundle: Path, tmp_path: Path, store: Path) -> None:
    folder = made(bundle, tmp_path / "mine", name="mine")
    (folder / ENCODER).write_bytes(b"")
    with pytest.raises(BundleError, match="altered"):
        add_bundle(folder)
    assert not store.exists()


@pytest.mark.parametrize("name", ["../out", "a b", ".hidden", "", "x" * 65, "a/b"])
def test_a_name_that_is_no_folders_name_is_refused(
    bundle: Path, tmp_path: Path, store: Path, name: str
) -> None:
    folder = made(bundle, tmp_path / "mine", name=name)
    with pytest.raises(BundleError, match="a bundle called"):
        add_bundle(folder)
    assert not store.exists()


def test_a_shipped_bundles_name_is_taken(bundle: Path, tmp_path: Path) -> None:
    if not shipped_bundles():
        pytest.skip("no bundle ships with this copy")
    folder = made(bundle, tmp_path / "mine", name=shipped_bundles()[0], version="9")
    with pytest.raises(BundleError, match="as one that ships"):
        add_bundle(folder, replace=True)


def test_a_failure_in_mid_copy_leaves_what_was_there(
    bundle: Path, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_bundle(made(bundle, tmp_path / "one", name="mine", version="1"))
    second = made(bundle, tmp_path / "two", name="mine", version="2")
    before = contents(store)

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(BundleError, match="No space left"):
        add_bundle(second, replace=True)
    assert contents(store) == before


def test_a_relative_data_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store_folder() == tmp_path / ".local" / "share" / "groundglass" / "models"
