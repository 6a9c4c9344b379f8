"""`groundglass train` from the outside: refusals in words, and a run that ends in a bundle."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from groundglass.cli.commands import train

Invoke = Callable[..., Result]


def options(tmp_path: Path, cohort: Path) -> tuple[object, ...]:
    experiment = tmp_path / "tiny.toml"
    experiment.write_text('[segmenter]\nbundle = "demonstration"\n')
    return ("--experiment", experiment, "--cohort", cohort, "--out", tmp_path / "run")


def test_without_the_extra_it_says_what_to_install(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "find_spec", lambda _name: None)
    done = invoke("train", "all", *options(tmp_path, tmp_path / "cohort.csv"))
    assert done.exit_code == 2
    assert "pip install '.[train]'" in done.stderr


def test_what_is_wrong_with_an_experiment_or_a_cohort_is_said(
    invoke: Invoke, tmp_path: Path
) -> None:
    pytest.importorskip("lightning", reason="needs groundglass[train]")
    table = tmp_path / "cohort.csv"
    given = options(tmp_path, table)
    assert "missing" in invoke("train", "all", *given).stderr or not table.exists()
    table.write_text("patient,study,label,split,source\np,gone.nii,CP,train,here\n")
    done = invoke("train", "encoder", *given)
    assert done.exit_code == 1
    assert "no file or folder" in done.stderr
    assert "row 2" in done.stderr
    assert "healthy" in done.stderr
    (tmp_path / "tiny.toml").write_text("epochs = 3\n")
    done = invoke("train", "encoder", *given)
    assert done.exit_code == 2
    assert "unknown key 'epochs'" in done.stderr


def _next(done: Result) -> list[str]:
    """The words of the command that a stage names to go on with."""
    program, *words = shlex.split(done.stdout.split("\nNext\n", 1)[1].splitlines()[0])
    assert program == "groundglass"
    return words


def test_from_stage_to_stage_by_the_commands_that_are_named(invoke: Invoke, tmp_path: Path) -> None:
    """Each can be copied as it stands, from the segmenter to the figures of the bundle."""
    pytest.importorskip("lightning", reason="needs groundglass[train]")
    from made_training import TINY, make_cohort, toml  # noqa: PLC0415

    few = {"epochs": 1, "batch": 4}
    values = TINY | {
        "segmenter": few | {"phantom_slices": 1},
        "encoder": TINY["encoder"] | few,
        "sequence": TINY["sequence"] | few,
    }
    folder = tmp_path / "of a patient's"
    folder.mkdir()
    experiment = folder / "tiny.toml"
    experiment.write_text(toml(values))
    words = [
        "train", "segmenter", "--experiment", str(experiment),
        "--cohort", str(make_cohort(folder, each=1).path), "--out", str(folder / "run"),
        "--cache", str(folder / "cache"), "--processes", "1",
    ]  # fmt: skip
    stages = []
    while words[0] == "train":
        stages.append(words[1])
        done = invoke(*words)
        assert done.exit_code == 0, done.stderr
        words = _next(done)
    assert stages == ["segmenter", "encoder", "sequence", "all"]
    done = invoke(*words)
    assert done.exit_code == 0, done.stderr
    assert (folder / "run" / "evaluation" / "report.html").exists()


def test_all_ends_in_a_bundle_and_says_where(invoke: Invoke, tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="needs groundglass[train]")
    from made_training import TINY, make_cohort, toml  # noqa: PLC0415

    few = {"epochs": 1, "batch": 4}
    values = TINY | {
        "segmenter": few | {"phantom_slices": 1},
        "encoder": TINY["encoder"] | few,
        "sequence": TINY["sequence"] | few,
    }
    experiment = tmp_path / "tiny.toml"
    experiment.write_text(toml(values))
    cohort = make_cohort(tmp_path, each=1)
    out = tmp_path / "run"
    done = invoke(
        "train", "all", "--experiment", experiment, "--cohort", cohort.path, "--out", out,
        "--processes", 1,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert str(out / "bundle") in done.stdout.replace("\n", "")
    after = f"evaluate {cohort.path} --bundle {out / 'bundle'}/ --out {out / 'evaluation'}"
    assert _next(done) == after.split()
    for stage in ("segmenter", "encoder", "sequence"):
        assert f"{stage} epoch 1/1" in done.stderr
        assert (out / stage / "epochs.csv").exists()
    manifest = json.loads((out / "bundle" / "bundle.json").read_text())
    hashes = manifest["training_hashes"]
    assert len(hashes["patients"]) == 6
    assert not any("made-" in value for value in hashes["patients"])
    assert manifest["training"]["data"][0]["patients"]["train"] == {"CP": 1, "NCP": 1, "healthy": 1}
    assert manifest["calibration"]["temperature"] > 0
    assert invoke("models", "verify", f"{out / 'bundle'}/").exit_code == 0
