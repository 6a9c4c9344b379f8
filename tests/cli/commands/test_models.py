"""`groundglass models`: what ships, what it is, and whether it is whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from groundglass.infer import shipped_bundles

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own, not the developer's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "groundglass" / "models"


def made(bundle: Path, folder: Path, **values: object) -> Path:
    """A copy of a bundle with some of its manifest changed."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    (folder / "bundle.json").write_text(json.dumps({**manifest, **values}), "utf-8")
    return folder


def test_a_whole_bundle_is_verified_file_by_file(invoke: Invoke, bundle: Path) -> None:
    done = invoke("models", "verify", f"{bundle}/")
    assert done.exit_code == 0
    assert "the networks run in" in done.stdout
    for file, digest in json.loads((bundle / "bundle.json").read_text("utf-8"))["sha256"].items():
        assert f"{file} {digest}" in done.stdout


@pytest.mark.parametrize("file", ["segmenter.onnx", "encoder.onnx", "head.onnx"])
def test_one_altered_byte_is_found_and_its_file_named(
    invoke: Invoke, bundle: Path, tmp_path: Path, file: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(bundle, folder)
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    done = invoke("models", "verify", f"{folder}/")
    assert done.exit_code == 1
    assert file in done.stdout
    assert invoke("models", "show", f"{folder}/").exit_code == 1


def test_show_has_the_statement_the_recipe_and_the_hashes(invoke: Invoke, bundle: Path) -> None:
    values = json.loads((bundle / "bundle.json").read_text("utf-8"))
    shown = invoke("models", "show", f"{bundle}/").stdout
    assert values["statement"] in shown
    assert "feetward_ratio" in shown
    for digest in values["sha256"].values():
        assert digest in shown


def test_alone_it_lists_what_ships(invoke: Invoke) -> None:
    done = invoke("models")
    assert done.exit_code == 0
    assert done.stdout == invoke("models", "list").stdout
    for name in shipped_bundles():
        assert name in done.stdout


def test_what_ships_is_whole(invoke: Invoke) -> None:
    if not shipped_bundles():
        pytest.skip("no bundle ships with this copy")
    assert invoke("models", "verify").exit_code == 0


def test_a_name_nobody_knows_is_told(invoke: Invoke) -> None:
    done = invoke("models", "show", "nosuch")
    assert done.exit_code == 1
    assert "no bundle.json for bundle 'nosuch'" in done.stderr


def test_what_is_added_is_listed_shown_and_verified_by_name(
    invoke: Invoke, bundle: Path, tmp_path: Path, store: Path
) -> None:
    folder = made(bundle, tmp_path / "mine", name="mine", statement="Made by a test.")
    done = invoke("models", "add", folder)
    assert done.exit_code == 0
    assert "--bundle mine" in done.stdout
    assert (store / "mine" / "bundle.json").is_file()
    assert "added by you" in invoke("models").stdout
    assert "Made by a test." in invoke("models", "show", "mine").stdout
    assert invoke("models", "verify", "mine").exit_code == 0


def test_another_version_is_not_overwritten_silently(
    invoke: Invoke, bundle: Path, tmp_path: Path
) -> None:
    invoke("models", "add", made(bundle, tmp_path / "one", name="mine", version="1"))
    second = made(bundle, tmp_path / "two", name="mine", version="2")
    refused = invoke("models", "add", second)
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    assert json.loads(invoke("models", "show", "mine", "--json").stdout)["version"] == "1"
    assert invoke("models", "add", second, "--replace").exit_code == 0
    assert json.loads(invoke("models", "show", "mine", "--json").stdout)["version"] == "2"


def test_networks_that_answer_otherwise_are_neither_verified_nor_added(
    invoke: Invoke, bundle: Path, tmp_path: Path, store: Path
) -> None:
    labels = json.loads((bundle / "bundle.json").read_text("utf-8"))["labels"]
    wrong = {"probabilities": dict.fromkeys(labels, 0.0), "lung_share": 1.0}
    folder = made(bundle, tmp_path / "mine", name="mine", self_test=wrong)
    done = invoke("models", "verify", f"{folder}/")
    assert done.exit_code == 1
    assert "self-test that differs" in done.stdout
    assert invoke("models", "add", folder).exit_code == 1
    assert not store.exists()


def test_show_as_json_counts_those_it_learnt_from_and_names_no_hash(
    invoke: Invoke, bundle: Path, tmp_path: Path
) -> None:
    hashes = {"salt": "s", "patients": ["hash-a", "hash-b"], "studies": ["hash-c"]}
    folder = made(bundle, tmp_path / "mine", training_hashes=hashes)
    shown = invoke("models", "show", f"{folder}/", "--json").stdout
    assert json.loads(shown)["learnt_from"] == {"patients": 2, "studies": 1}
    assert "hash-" not in shown
