"""Results are written so that people and programs can read them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.rows import Row, Section
from benchmarks.samples import Pairs, Sample, Target

from benchmarks import document

MACHINE = {"cpu": "Example 3000", "cores": 2, "instruction sets": ["avx2"], "versions": {"a": "1"}}
TWENTY = Target(20, at_least=True, of="ratio")
PAIRS = Pairs(Sample((0.1, 0.2, 0.1)), Sample((3.0, 4.0, 3.0)))


def section() -> Section:
    return Section(
        rows=[
            Row.of_pairs("group", "Peer 1.0", PAIRS, target=TWENTY),
            Row("memory", Sample((1234.5,)), unit="MB", target=Target(1000)),
            Row.missing("GPU", "there is none", peer="torch_gpu"),
        ],
        text=["| more |\n| --- |"],
        pictures={"scaling.png": b"png"},
        data={"model": {"study_s": 1.0}},
    )


def made(folder: Path) -> str:
    whole = document.begin(folder, MACHINE, keep=False)
    found = section()
    whole["sections"]["one"] = document.entered("One", found, "2026-11-22", 12.3)
    document.write(whole, found.pictures, folder)
    return (folder / "benchmarks.md").read_text("utf-8")


def test_a_row_names_peer_ratio_and_target(tmp_path: Path) -> None:
    text = made(tmp_path)
    assert (
        "| group | 100 ms (100-200) | Peer 1.0 | 3000 ms (3000-4000) | 30.0× (20.0-30.0) "
        "| ≥ 20× | yes |" in text
    )


def test_a_missed_target_stands_out(tmp_path: Path) -> None:
    assert "| memory | 1234 MB |  |  |  | ≤ 1000 MB | **no** |" in made(tmp_path)


def test_what_was_not_measured_says_why(tmp_path: Path) -> None:
    text = made(tmp_path)
    assert "| GPU | not measured | torch_gpu | not measured |  |  |  |" in text
    assert "- GPU: not measured: there is none" in text


def test_machine_text_and_picture_are_there(tmp_path: Path) -> None:
    text = made(tmp_path)
    assert "| cpu | Example 3000 |" in text
    assert "| versions | a 1 |" in text
    assert "| more |" in text
    assert "![scaling](scaling.png)" in text
    assert (tmp_path / "scaling.png").read_bytes() == b"png"


def test_what_takes_long_is_shown_in_seconds() -> None:
    sample = {"median": 12_345.0, "low": 9_000.0, "high": 20_000.0, "values": [1, 2]}
    assert document.figure(sample, "ms") == "12.3 s (9-20.0)"
    assert document.figure({**sample, "values": [1]}, "MB") == "12345 MB"


def test_the_json_holds_every_run(tmp_path: Path) -> None:
    made(tmp_path)
    whole = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))
    row = whole["sections"]["one"]["rows"][0]
    assert row["ratio"]["values"] == [30.0, 20.0, 30.0]
    assert row["met"] is True
    assert whole["machine"] == MACHINE
    assert whole["sections"]["one"]["data"] == {"model": {"study_s": 1.0}}


def test_sections_of_the_same_machine_are_kept_and_of_another_dropped(tmp_path: Path) -> None:
    made(tmp_path)
    again = {**MACHINE, "versions": {"a": "2"}}
    assert set(document.begin(tmp_path, again, keep=True)["sections"]) == {"one"}
    assert document.begin(tmp_path, {**MACHINE, "cores": 8}, keep=True)["sections"] == {}
    assert document.begin(tmp_path, MACHINE, keep=False)["sections"] == {}


def test_a_broken_section_says_what_broke() -> None:
    entry = document.broken("One", "ValueError: no lungs", "2026-11-22")
    whole = {"machine": MACHINE, "sections": {"one": entry}}
    assert "Not measured: ValueError: no lungs" in document.markdown(whole)
