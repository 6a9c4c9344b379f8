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


def test_a_whole_bundle_is_verified_file_by_file(invoke: Invoke, bundle: Path) -> None:
    done = invoke("models", "verify", f"{bundle}/")
    assert done.exit_code == 0
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
