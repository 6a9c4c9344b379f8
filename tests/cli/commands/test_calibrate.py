"""`groundglass calibrate`: a site's cases in, a whole new bundle out, which nobody is named in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from groundglass.cohort.phantoms import phantom_json
from groundglass.core.result import Outcome
from groundglass.infer import load_bundle
from groundglass.infer.bundle import MANIFEST
from groundglass.phantom import PhantomSettings

Invoke = Callable[..., Result]
#: Thick and few slices: the whole way in a fraction of a second.
BODY = PhantomSettings(matrix=128, slice_count=30, slice_spacing_mm=10.0, severity=0.9)
OPTIONS = ("--split", "all", "--error", 0.4)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four ill of a kind not told, four healthy, of whom nothing else is known."""
    folder = tmp_path_factory.mktemp("site")
    path = folder / "cohort.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "study", "label", "split", "source"])
        for number in range(8):
            made, label = (("CP", "pneumonia"), ("healthy", "healthy"))[number % 2]
            study = folder / f"{number}.phantom.json"
            study.write_text(phantom_json(replace(BODY, label=made, seed=500 + number)), "utf-8")
            writer.writerow([f"Surname^{number}", study.name, label, "", "made"])
    return path


@pytest.fixture(scope="module")
def calibrated(
    invoke: Invoke, table: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("calibrated") / "ours"
    return invoke("calibrate", table, "--out", out, "--bundle", f"{bundle}/", *OPTIONS), out


def test_it_writes_a_whole_bundle_with_the_same_networks(
    calibrated: tuple[Result, Path], bundle: Path
) -> None:
    done, out = calibrated
    assert done.exit_code == 0, done.output
    before, made = load_bundle(bundle), load_bundle(out)
    assert made.name == "ours"
    assert made.hashes == before.hashes
    assert made.recipe == before.recipe
    assert made.metadata.training_hashes == before.metadata.training_hashes
    assert made.statement.startswith(before.statement)
    allowed, site = made.metadata.conformal, made.metadata.calibrated_on
    assert allowed is not None
    assert site is not None
    assert (allowed.alpha, allowed.n_ill) == (0.4, 4)
    # A healthy one whose scan ends within the lungs has no verdict, and no part in it.
    assert 2 <= allowed.n_not_ill <= 4
    assert len(site.patients) == 8
    assert site.bundle == f"{before.name} {before.version}"
    rule, rule_before = made.metadata.share_rule, before.metadata.share_rule
    assert (rule is None) == (rule_before is None)
    if rule is not None and rule_before is not None:
        assert rule.n == allowed.n_ill + allowed.n_not_ill
        assert rule.slice_threshold == rule_before.slice_threshold
        assert made.metadata.operating_point is None
    assert not out.with_name("ours.partial").exists()


def test_nobody_is_named(calibrated: tuple[Result, Path]) -> None:
    done, out = calibrated
    assert "Surname" not in done.output
    assert "Surname" not in (out / MANIFEST).read_text("utf-8")


def test_what_it_is_worth_is_told_first_of_all_the_released(
    calibrated: tuple[Result, Path],
) -> None:
    words = calibrated[0].stdout
    told = [line.strip() for line in words.split("Patients left out of the fit")[1].splitlines()]
    assert told[1].startswith("ill among the released")
    assert any(line.startswith("not ill covered") for line in told)


def test_it_runs_with_every_end_that_it_may_have(
    invoke: Invoke, calibrated: tuple[Result, Path], phantom_study: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    named = f"{calibrated[1]}/"
    done = invoke("run", phantom_study, "--out", out, "--bundle", named)
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert result["outcome"] in (Outcome.VERDICT, Outcome.FOR_A_READER)
    assert done.exit_code == (0 if result["outcome"] == Outcome.VERDICT else 1), done.output


def test_its_own_cases_are_refused_when_it_is_measured(
    invoke: Invoke, calibrated: tuple[Result, Path], table: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    named = f"{calibrated[1]}/"
    done = invoke("evaluate", table, "--out", tmp_path / "o", "--bundle", named, "--split", "all")
    assert done.exit_code == 1
    assert "calibrated on" in done.stderr


def test_it_is_not_calibrated_twice(
    invoke: Invoke, calibrated: tuple[Result, Path], table: Path, tmp_path: Path
) -> None:
    named = f"{calibrated[1]}/"
    done = invoke("calibrate", table, "--out", tmp_path / "o", "--bundle", named, *OPTIONS)
    assert done.exit_code == 1
    assert "calibrated already" in done.stderr


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--error", 0.1), 1, "at least 9 of either kind"),
        (("--error", 0.7), 2, "an error of 0.7"),
        (("--name", "paper"), 1, "one that ships"),
        (("--split", "test"), 1, "no case in the split"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    invoke: Invoke,
    table: Path,
    bundle: Path,
    tmp_path: Path,
    *,
    more: tuple[object, ...],
    code: int,
    words: str,
) -> None:
    out = tmp_path / "o"
    few = table.with_name("few.csv")
    few.write_text("".join(table.read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")
    done = invoke("calibrate", few, "--out", out, "--bundle", f"{bundle}/", *OPTIONS, *more)
    assert done.exit_code == code, done.output
    assert words in " ".join(done.stderr.split())
    assert not out.exists()
