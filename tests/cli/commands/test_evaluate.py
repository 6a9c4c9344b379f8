"""`groundglass evaluate`: a cohort in, figures out, no case lost and nobody named."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import jsonschema
import openvino as ov
import pytest
from typer.testing import Result

from groundglass.analyse import triage
from groundglass.cohort import patient_hash, study_fingerprint
from groundglass.cohort.phantoms import phantom_json
from groundglass.core.result import RESULT_OUTCOMES
from groundglass.evaluate.report.document import evaluation_schema
from groundglass.evaluate.run import evaluation, predict
from groundglass.evaluate.run.probes import Probe
from groundglass.evaluate.statistics import BootstrapSettings
from groundglass.infer.bundle import sha256_of
from groundglass.phantom import PhantomSettings

Invoke = Callable[..., Result]

pytest.importorskip("matplotlib")
#: Thick and few slices: the whole way in a fraction of a second.
BODY = PhantomSettings(matrix=96, slice_count=23, slice_spacing_mm=10.0, severity=0.9)
LABELS = ("CP", "NCP", "healthy")


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    """2000 draws of the bootstrap for each of these tests would say nothing more."""
    draws = BootstrapSettings(resamples=40)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("evaluate", "compared_with"):
            patch.setattr(evaluation, name, partial(getattr(evaluation, name), draws=draws))
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three made patients, one of them with two studies, and one whose study is missing."""
    folder = tmp_path_factory.mktemp("cohort")
    rows = []
    for number in range(4):
        label = LABELS[number % 3]
        name = f"Surname^{number % 3}"
        study = folder / f"{number}-{name}.phantom.json"
        study.write_text(phantom_json(replace(BODY, label=label, seed=number)), "utf-8")
        rows.append([name, study.name, label, "test", "made", "FM"[number % 2]])
    rows.append(["Surname^lost", "Surname^lost", "CP", "test", "made", ""])
    rows.append(["Surname^train", rows[0][1], "CP", "train", "made", ""])
    path = folder / "cohort.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "study", "label", "split", "source", "sex"])
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def few(table: Path) -> Path:
    """The first two of the table."""
    path = table.with_name("few.csv")
    path.write_text("".join(table.read_text("utf-8").splitlines(keepends=True)[:3]), "utf-8")
    return path


@pytest.fixture(scope="module")
def evaluated(
    invoke: Invoke, table: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("evaluated") / "out"
    named = f"{bundle}/"
    return invoke("evaluate", table, "--out", out, "--bundle", named, "--compare", named), out


def document(out: Path) -> dict:
    return json.loads((out / "evaluation.json").read_text("utf-8"))


def predictions(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_writes_what_it_promises(evaluated: tuple[Result, Path]) -> None:
    done, out = evaluated
    assert done.exit_code == 0, done.output
    jsonschema.validate(document(out), evaluation_schema())
    point = {"operating-point.png"} if document(out)["operating_point"] else set()
    assert {path.name for path in out.iterdir()} == point | {
        *("report.html", "evaluation.json", "predictions.csv", "predictions-compared.csv"),
        *("roc.png", "confusion.png", "calibration.png", "groups.png"),
    }
    assert not out.with_name("out.partial").exists()


def test_no_case_is_dropped_and_each_without_verdict_is_named(
    evaluated: tuple[Result, Path],
) -> None:
    done, out = evaluated
    found = document(out)
    assert found["cohort"]["cases"] == 5
    assert found["cohort"]["patients"] == 4
    assert {case["row"] for case in found["without_verdict"]} >= {6}
    lost = next(case for case in found["without_verdict"] if case["row"] == 6)
    assert lost["outcome"] == "unreadable"
    assert "no file or folder of that name" in lost["reason"]
    assert "row 6: " in done.stdout
    service = predictions(out)
    assert [int(line["row"]) for line in service] == [2, 3, 4, 5, 6]
    # Rows 2 and 5 are the same person.
    assert service[0]["patient"] == service[3]["patient"]


def test_nobody_is_named_anywhere(evaluated: tuple[Result, Path]) -> None:
    done, out = evaluated
    assert "Surname" not in done.output
    for path in out.iterdir():
        assert b"Surname" not in path.read_bytes(), path.name


def test_a_bundle_compared_with_itself_does_not_differ(evaluated: tuple[Result, Path]) -> None:
    compared = document(evaluated[1])["compared"]
    assert compared["mcnemar"]["only_first"] == compared["mcnemar"]["only_second"] == 0
    assert all(test["difference"] in (0, None) for test in compared["delong"].values())


def test_a_scan_that_ends_within_healthy_lungs_is_a_case_without_a_verdict(
    invoke: Invoke, few: Path, bundle: Path, tmp_path: Path
) -> None:
    cut = replace(BODY, label="healthy", seed=6, matrix=128, slice_spacing_mm=9.0)
    few.with_name("cut.phantom.json").write_text(phantom_json(cut), "utf-8")
    table = few.with_name("with-cut.csv")
    table.write_text(f"{few.read_text('utf-8')}cut,cut.phantom.json,healthy,test,made,F\n", "utf-8")
    out = tmp_path / "out"
    done = invoke("evaluate", table, "--out", out, "--bundle", f"{bundle}/")
    assert done.exit_code == 0, done.output
    found = document(out)
    jsonschema.validate(found, evaluation_schema())
    (case,) = (case for case in found["without_verdict"] if case["row"] == 4)
    assert case["outcome"] == "part-of-lungs"
    assert "of the largest lung area" in case["reason"]


def test_every_outcome_has_its_place_in_the_schema() -> None:
    properties = evaluation_schema()["properties"]
    known = properties["without_verdict"]["items"]["properties"]["outcome"]["enum"]
    assert set(known) == {"unreadable", *RESULT_OUTCOMES} - {"verdict"}


def test_the_probe_asks_again_without_lungs_and_says_what_it_found(
    invoke: Invoke, few: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmented: list[object] = []
    really = triage.find_lungs
    monkeypatch.setattr(triage, "find_lungs", lambda *of: (segmented.append(of[0]), really(*of))[1])
    out = tmp_path / "out"
    done = invoke("evaluate", few, "--out", out, "--bundle", f"{bundle}/", "--probe")
    assert done.exit_code == 0, done.output
    found = document(out)
    jsonschema.validate(found, evaluation_schema())
    shown = {line["images"] for line in predictions(out)}
    assert shown == {"as-in-service", *(probe.value for probe in Probe)}
    assert found["probes"]["words"] in done.stdout
    assert len(segmented) == 2  # once a study
    assert (out / "probes.png").is_file()
    # Of 23 slices 11 are left when each two are averaged: fewer than the recipe wants.
    lines = [line for line in predictions(out) if line["images"] == "twice-as-thick"]
    assert {line["outcome"] for line in lines} == {"too-few-slices"}
    assert {line["reason"] for line in lines} == {"11 slices are left, 13 are needed"}


def test_sex_and_thickness_are_told_apart(evaluated: tuple[Result, Path]) -> None:
    groups = document(evaluated[1])["groups"]
    assert {group["name"] for group in groups["sex"]} == {"F", "M", "not known"}
    assert groups["slice thickness"][0]["name"] == "above 5 mm"


def test_the_networks_without_hashes_say_that_leaks_cannot_be_known(
    invoke: Invoke, few: Path, bundle: Path, tmp_path: Path
) -> None:
    folder = with_facts(bundle, tmp_path / "forgetful", training_hashes=None)
    done = invoke("evaluate", few, "--out", tmp_path / "out", "--bundle", f"{folder}/")
    assert "cannot be known" in done.stdout


def with_facts(bundle: Path, folder: Path, **facts: object) -> Path:
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
    (folder / "bundle.json").write_text(json.dumps({**manifest, **facts}), "utf-8")
    return folder


@pytest.mark.parametrize("shared", ["patient", "study"])
def test_what_was_trained_on_is_refused_by_row(
    invoke: Invoke, table: Path, bundle: Path, tmp_path: Path, shared: str
) -> None:
    study = next(table.parent.glob("1-*"))
    hashes = {
        "salt": "s",
        "patients": [patient_hash("Surname^1", "s")] if shared == "patient" else [],
        "studies": [study_fingerprint(study)] if shared == "study" else [],
    }
    folder = with_facts(bundle, tmp_path / "seen", training_hashes=hashes)
    done = invoke("evaluate", table, "--out", tmp_path / "out", "--bundle", f"{folder}/")
    assert done.exit_code == 1
    assert "in row 3" in done.stderr
    assert "Surname" not in done.output
    assert not list(tmp_path.glob("out*"))


def test_labels_the_bundle_does_not_know_are_refused_by_row(
    invoke: Invoke, table: Path, bundle: Path, tmp_path: Path
) -> None:
    odd = table.with_name("odd.csv")
    odd.write_text(table.read_text("utf-8").replace(",NCP,", ",flu,"), "utf-8")
    done = invoke("evaluate", odd, "--out", tmp_path / "out", "--bundle", f"{bundle}/")
    assert done.exit_code == 1
    assert "flu" in done.stderr
    assert "in row 3." in done.stderr
    assert "CP, NCP, healthy" in done.stderr


def test_a_split_without_cases_is_refused(invoke: Invoke, table: Path, tmp_path: Path) -> None:
    done = invoke("evaluate", table, "--out", tmp_path / "out", "--split", "validation")
    assert done.exit_code == 1
    assert "train, test" in done.stderr


def test_a_place_that_holds_other_things_is_refused_before_any_work(
    invoke: Invoke, table: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = invoke("evaluate", table, "--out", tmp_path)
    assert done.exit_code == 1
    assert "mine.txt" in done.stderr


class Killed(Exception):  # noqa: N818  (stands for a signal)
    """What a test interrupts a run with."""


@pytest.fixture
def command(table: Path, bundle: Path, tmp_path: Path) -> tuple[object, ...]:
    """The plain command, into a folder of the test's own."""
    return ("evaluate", table, "--out", tmp_path / "out", "--bundle", f"{bundle}/")


def test_a_broken_run_goes_on_and_ends_as_an_unbroken_one(
    invoke: Invoke,
    evaluated: tuple[Result, Path],
    command: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = Path(str(command[3]))
    really, asked = predict.open_study, []

    def killed_at_the_fourth(case):
        asked.append(case.row)
        if len(asked) == 4:
            raise Killed
        return really(case)

    monkeypatch.setattr(predict, "open_study", killed_at_the_fourth)
    with pytest.raises(Killed):
        invoke(*command)
    assert not out.exists()
    told = invoke(*command)
    assert told.exit_code == 1
    assert "--resume" in told.stderr
    assert invoke(*command, "--resume").exit_code == 0
    assert asked == [2, 3, 4, 5, 5, 6]

    def without_time(lines: list[dict[str, str]]) -> list[dict[str, str]]:
        return [{**line, "seconds": ""} for line in lines]

    assert without_time(predictions(out)) == without_time(predictions(evaluated[1]))
    whole, again = document(evaluated[1]), document(out)
    assert again["figures"] == whole["figures"]


def test_a_broken_run_of_something_else_is_not_mixed_in(
    invoke: Invoke, command: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_case):
        raise Killed

    monkeypatch.setattr(predict, "open_study", killed)
    with pytest.raises(Killed):
        invoke(*command)
    done = invoke(*command, "--split", "all", "--resume")
    assert done.exit_code == 1
    assert "something else" in done.stderr


def test_a_run_does_not_go_on_in_another_number_format(
    invoke: Invoke, command: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` on a processor with bf16 is not what it was on the one the run was broken off on."""

    def killed(_case):
        raise Killed

    monkeypatch.setattr(predict, "open_study", killed)
    monkeypatch.setattr(ov.Core, "get_property", lambda *_: ["FP32"])
    with pytest.raises(Killed):
        invoke(*command)
    monkeypatch.setattr(ov.Core, "get_property", lambda *_: ["FP32", "BF16"])
    done = invoke(*command, "--resume")
    assert done.exit_code == 1
    assert "number format" in done.stderr


def test_several_workers_give_the_same_answers(
    invoke: Invoke, evaluated: tuple[Result, Path], few: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = invoke("evaluate", few, "--out", out, "--bundle", f"{bundle}/", "--workers", 2)
    assert done.exit_code == 0, done.output
    assert document(out)["cohort"]["sha256"] == sha256_of(few)
    alone = {line["row"]: line for line in predictions(evaluated[1])}
    for line in predictions(out):
        assert {**line, "seconds": ""} == {**alone[line["row"]], "seconds": ""}


def test_help_says_that_training_data_is_refused(invoke: Invoke) -> None:
    assert "training data" in " ".join(invoke("evaluate", "--help").stdout.split())
