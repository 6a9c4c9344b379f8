"""`groundglass run`: what a user and a machine get, and how each end is told."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from typer.testing import Result

from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from made_ct import thorax

Invoke = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
Ran = tuple["subprocess.CompletedProcess[str]", Path]


def test_a_study_gives_a_report_and_exit_code_0(ran: Ran) -> None:
    done, out = ran
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {"report.html", "result.json", "dicom"}


def test_json_is_the_file_and_nothing_else(ran: Ran) -> None:
    done, out = ran
    assert done.stdout == (out / "result.json").read_text("utf-8")
    assert json.loads(done.stdout)["outcome"] == "verdict"


def test_people_are_told_the_choice_the_verdict_and_the_limits(ran: Ran) -> None:
    done, out = ran
    result = json.loads(done.stdout)
    told = done.stderr
    assert result["input"]["selection_reason"] in told
    for label, probability in result["verdict"]["probabilities"].items():
        assert label in told
        assert f"{probability:.3f}" in told
    assert f"({result['verdict']['label']})" in told
    assert result["reason"] in told
    assert result["statement"] in told
    assert result["research_use_only"] in told
    assert str(out / "report.html") in told
    assert str(out / "dicom") in told


def test_results_for_the_pacs_belong_to_the_study(ran: Ran, phantom_study: Path) -> None:
    _, out = ran
    source = pydicom.dcmread(next(phantom_study.iterdir()), stop_before_pixels=True)
    listed = json.loads((out / "result.json").read_text("utf-8"))["dicom"]["objects"]
    assert {entry["kind"] for entry in listed} >= {"capture", "structured-report", "segmentation"}
    for entry in listed:
        written = pydicom.dcmread(out / entry["file"], stop_before_pixels=True)
        assert written.StudyInstanceUID == source.StudyInstanceUID
        assert written.SeriesInstanceUID != source.SeriesInstanceUID
        assert written.PatientID == source.PatientID


def test_no_progress_where_there_is_no_terminal(ran: Ran) -> None:
    told = ran[0].stderr
    assert "\x1b" not in told
    assert "\r" not in told
    assert "Finding the lungs" not in told


def test_no_identifier_is_printed(ran: Ran) -> None:
    done = ran[0]
    for identifier in ("Phantom^", "PHANTOM-", "PH0000"):
        assert identifier not in done.stdout + done.stderr


def test_nothing_is_left_in_the_users_home(ran: Ran) -> None:
    """Neither caches nor the identifier under which the engine would report its use."""
    assert list((ran[1].parent / "home").iterdir()) == []


def test_without_json_people_read_standard_output(
    invoke: Invoke, phantom_study: Path, lungless_bundle: Path, tmp_path: Path
) -> None:
    done = invoke("run", phantom_study, "--out", tmp_path / "o", "--bundle", f"{lungless_bundle}/")
    assert "No verdict: no lung found" in done.stdout
    assert done.stderr == ""


def test_a_result_without_verdict_has_its_report_and_exit_code_1(
    invoke: Invoke, phantom_study: Path, lungless_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    done = invoke("run", phantom_study, "--out", out, "--bundle", f"{lungless_bundle}/", "--json")
    assert done.exit_code == 1
    result = json.loads(done.stdout)
    assert result["outcome"] == "no-lung"
    assert result["verdict"] is None
    assert result["reason"] in done.stderr
    assert result["reason"] in (out / "report.html").read_text("utf-8")


def test_each_note_is_told_once_in_terminal_page_and_json(ran: Ran) -> None:
    done, out = ran
    notes = json.loads(done.stdout)["notes"]
    assert "coarse-pixels" in {note["kind"] for note in notes}  # 160 pixels a side
    page = (out / "report.html").read_text("utf-8")
    for note in notes:
        assert done.stderr.count(note["text"]) == 1
        assert page.count(note["text"]) == 1
        assert done.stdout.count(note["text"]) == 1


def test_a_scan_that_ends_within_the_lungs_is_not_called_healthy(
    invoke: Invoke, bundle: Path, tmp_path: Path
) -> None:
    """With exit code 1 and a report, and the end that is cut, from files in any order."""
    settings = PhantomSettings(
        label="healthy", seed=3, matrix=128, slice_count=30, slice_spacing_mm=9.0
    )
    phantom = make_phantom(settings)
    write_dicom_series(phantom, tmp_path / "study")
    lowest = phantom.scan.z_mm[int(phantom.lung.sum(axis=(1, 2)).argmax())]
    for path in (tmp_path / "study").iterdir():
        z_mm = float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])
        if z_mm < lowest - 1:
            path.unlink()
    out = tmp_path / "out"
    done = invoke("run", tmp_path / "study", "--out", out, "--bundle", f"{bundle}/")
    assert done.exit_code == 1
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert (result["outcome"], result["verdict"]) == ("part-of-lungs", None)
    cut = next(note for note in result["notes"] if note["kind"] == "cut-at-feet")
    assert cut["text"] in result["reason"]
    for told in (done.stdout, (out / "report.html").read_text("utf-8")):
        assert told.count(cut["text"]) == 1
        assert "part of the lungs" in told
    assert "Verdict: Healthy" not in done.stdout
    assert [path.name for path in (out / "dicom").iterdir()] == ["capture-1.dcm"]


def test_files_set_aside_are_counted_by_reason_and_not_named(
    invoke: Invoke, phantom_study: Path, lungless_bundle: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in phantom_study.iterdir():
            file.write(path, path.name)
        for name in ("DOE^JANE.txt", "DOE^JOHN.txt"):
            file.writestr(name, "a letter")
    done = invoke("run", archive, "--out", tmp_path / "o", "--bundle", f"{lungless_bundle}/")
    assert "Files set aside: 2" in done.stdout
    assert "2 × Found no image format" in done.stdout
    assert "DOE" not in done.output


def test_the_series_not_taken_are_named_with_their_reason(
    invoke: Invoke, bundle: Path, shared_data: Path, tmp_path: Path
) -> None:
    study = shared_data / "studies" / "lung-dx-A0002"
    if not study.is_dir():
        pytest.skip(f"no study at {study}")
    done = invoke("run", study, "--out", tmp_path / "o", "--bundle", f"{bundle}/", "--json")
    rejected = json.loads(done.stdout)["input"]["rejected"]
    assert rejected
    for series in rejected:
        assert f"{series['what']}: {series['reason']}" in done.stderr


@pytest.mark.parametrize(
    "odd",
    [
        ("brain-mr", "modality MR, not CT"),
        ("sagittal-ct", "not axial"),
        ("rgb-captures", "not CT"),
    ],
    ids=lambda odd: odd[0],
)
def test_what_is_no_chest_ct_is_refused_with_its_reason(
    invoke: Invoke, bundle: Path, shared_data: Path, tmp_path: Path, odd: tuple[str, str]
) -> None:
    name, reason = odd
    source = shared_data / "odd-inputs" / name
    if not source.is_dir():
        pytest.skip(f"no input at {source}")
    out = tmp_path / "report"
    done = invoke("run", source, "--out", out, "--bundle", f"{bundle}/", "--json")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert reason in done.stderr
    assert "Send the chest CT's axial reconstruction." in done.stderr
    assert not out.exists()


def test_two_patients_are_counted_and_not_named(
    invoke: Invoke, phantom_study: Path, tmp_path: Path
) -> None:
    (tmp_path / "mixed").mkdir()
    for number, path in enumerate(sorted(phantom_study.iterdir())):
        data = pydicom.dcmread(path)
        data.PatientID = ("PID-4711", "PID-0815")[number % 2]
        data.save_as(tmp_path / "mixed" / path.name)
    done = invoke("run", tmp_path / "mixed", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "images of 2 patients in one study" in done.output
    assert "PID-" not in done.output
    assert not (tmp_path / "out").exists()


def test_garbage_gives_a_reason_and_no_traceback(
    command: Command, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "garbage"
    folder.mkdir()
    noise = np.random.default_rng(0).bytes(5000)
    (folder / "noise").write_bytes(noise)
    (folder / "half.dcm").write_bytes(bytes(128) + b"DICM" + noise[:300])
    (folder / "empty").touch()
    done = command("run", folder, "--out", tmp_path / "o", "--bundle", f"{bundle}/")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Found no usable image among 3 files" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_header_cannot_steer_the_terminal(
    invoke: Invoke, phantom_study: Path, lungless_bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for path in phantom_study.iterdir():
        data = pydicom.dcmread(path)
        data.SeriesDescription = "chest\x1b]0;owned\x07 [red]lung"
        data.save_as(folder / path.name)
    done = invoke("run", folder, "--out", tmp_path / "o", "--bundle", f"{lungless_bundle}/")
    assert "[red]lung" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def _slices_as_png(folder: Path) -> None:
    """A small thorax, feet last, in a window from -1350 to 150 HU."""
    folder.mkdir()
    grey = np.clip((thorax().astype(np.float64) + 1350) / 1500 * 255, 0, 255).astype(np.uint8)
    for index, image in enumerate(grey[::-1]):
        cv2.imwrite(str(folder / f"{index}.png"), image)


STATED = (
    "--window", -600, 1500, "--spacing", 10, 5, 5,
    "--first-slice", "head", "--first-row", "front", "--first-column", "right",
)  # fmt: skip


def test_images_are_analysed_with_what_is_stated_about_them(
    invoke: Invoke, lungless_bundle: Path, tmp_path: Path
) -> None:
    _slices_as_png(tmp_path / "png")
    arguments = ("run", tmp_path / "png", "--out", tmp_path / "o", "--json")
    done = invoke(*arguments, "--bundle", f"{lungless_bundle}/", *STATED)
    document = json.loads(done.stdout)
    assert document["input"]["kind"] == "image-stack"
    assert document["geometry"]["spacing_mm"] == [10, 5, 5]
    assert document["geometry"]["directions"][0] == [0, 0, -1]
    assert "not DICOM" in document["dicom"]["reason"]
    assert not (tmp_path / "o" / "dicom").exists()


def test_images_without_their_meaning_are_refused(
    invoke: Invoke, lungless_bundle: Path, tmp_path: Path
) -> None:
    _slices_as_png(tmp_path / "png")
    done = invoke("run", tmp_path / "png", "--out", tmp_path / "o", "--bundle", lungless_bundle)
    assert done.exit_code == 1
    assert "do not say what their values and spacing mean" in done.stderr
    for option in STATED:
        assert not str(option).startswith("--") or str(option) in done.stderr


@pytest.mark.parametrize("left_out", ["--window", "--spacing", "--first-slice", "--first-column"])
def test_half_a_statement_about_images_is_wrong_use(
    invoke: Invoke, tmp_path: Path, left_out: str
) -> None:
    at = STATED.index(left_out)
    end = next((i for i in range(at + 1, len(STATED)) if str(STATED[i]).startswith("--")), None)
    stated = STATED[:at] + (STATED[end:] if end else ())
    done = invoke("run", tmp_path, "--out", tmp_path / "o", *stated)
    assert done.exit_code == 2
    assert left_out in done.stderr


def test_a_scale_and_a_window_together_are_wrong_use(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("run", tmp_path, "--out", tmp_path / "o", *STATED, "--hu-scale", 1, 0)
    assert done.exit_code == 2


def test_a_folder_with_other_things_is_left_alone(
    invoke: Invoke, phantom_study: Path, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = invoke("run", phantom_study, "--out", tmp_path, "--bundle", f"{bundle}/")
    assert done.exit_code == 1
    assert "notes.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_place_not_usable_is_told_before_anything_is_done(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "notes.txt" / "below"):
        done = invoke("run", tmp_path, "--out", out, "--bundle", "nosuch")
        assert done.exit_code == 1
        assert "notes.txt" in done.stderr
        assert "Give another directory" in done.stderr or "give another directory" in done.stderr
        assert "nosuch" not in done.stderr


def test_files_set_aside_are_told_though_no_chest_ct_is_left(
    invoke: Invoke, phantom_study: Path, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for index, path in enumerate(sorted(phantom_study.iterdir())):
        content = path.read_bytes()
        (folder / path.name).write_bytes(content if index < 2 else content[:-100])
    done = invoke("run", folder, "--out", tmp_path / "o", "--bundle", f"{bundle}/")
    assert done.exit_code == 1
    assert "Files set aside: 22" in done.stdout
    assert "pixel data of" in done.stdout


@pytest.mark.parametrize("scale", [("--hu-scale", 0, 0), ("--window", -600, 0)])
def test_a_scale_that_makes_no_sense_is_wrong_use(
    invoke: Invoke, tmp_path: Path, scale: tuple[object, ...]
) -> None:
    done = invoke("run", tmp_path, "--out", tmp_path / "o", *STATED[3:], *scale)
    assert done.exit_code == 2
    assert "Found a" in done.stderr


def test_an_unknown_bundle_is_refused_before_anything_is_read(
    invoke: Invoke, tmp_path: Path
) -> None:
    done = invoke("run", tmp_path, "--out", tmp_path / "o", "--bundle", "nosuch")
    assert done.exit_code == 1
    assert "no bundle.json for bundle 'nosuch'" in done.stderr
    assert "groundglass models" in done.stderr


def test_a_class_the_bundle_does_not_have_cannot_be_explained(
    invoke: Invoke, phantom_study: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    done = invoke("run", phantom_study, "--out", out, "--bundle", bundle, "--explain", "flu")
    assert done.exit_code == 2
    assert "the class 'flu' to explain" in done.stderr
    assert "CP, NCP, healthy" in done.stderr
    assert not out.exists()
