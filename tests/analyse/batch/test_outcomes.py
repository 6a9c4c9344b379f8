"""The table of outcomes: whole after a kill, and what is done is known."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

import groundglass
from groundglass.analyse.batch.analysing import Analysed
from groundglass.analyse.batch.outcomes import TABLE, Conditions, Outcomes
from groundglass.core.result import KIND_NOT_TOLD, Outcome, ShareOfSlices
from groundglass.errors import ReportError
from groundglass.infer import Precision, load_bundle
from groundglass.read.sources import Entry
from groundglass.read.studies import StudyFiles

STUDY = StudyFiles("study-0001", "1.2.3", (Entry(Path("/a"), None, "DOE^JANE", 10),))
NIFTI = StudyFiles("study-0002", "", (Entry(Path("/b.nii"), None, "b.nii", 20),))


@pytest.fixture
def conditions(bundle: Path) -> Conditions:
    return Conditions(load_bundle(bundle), Precision.F32, None)


def judged(study: StudyFiles = STUDY, label: str = "CP") -> Analysed:
    given = {"CP": 0.7, "NCP": 0.2, "healthy": 0.1}
    notes = ("Pixels are coarse.", "The scan ends early.")
    reason = 'said "so", it did'
    return Analysed(
        Outcome.VERDICT, reason, label, given, 24, seconds=1.234, notes=notes, study=study
    )


def report(folder: Path, conditions: Conditions, **changed: object) -> None:
    """As much of a report as its conditions are read from."""
    folder.mkdir()
    provenance = {
        "groundglass_version": groundglass.__version__,
        "bundle_sha256": dict(conditions.bundle.sha256),
        "recipe": conditions.bundle.recipe.to_dict(),
        "precision": "f32",
    }
    document = {"provenance": provenance, "verdict": {"label": "CP"}, "explained_label": "CP"}
    provenance |= {name: value for name, value in changed.items() if name in provenance}
    document |= {name: value for name, value in changed.items() if name not in provenance}
    (folder / "result.json").write_text(json.dumps(document), "utf-8")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_a_study_in_the_order_they_were_found(
    tmp_path: Path, conditions: Conditions
) -> None:
    with Outcomes.opened(tmp_path / "out", conditions) as outcomes:
        outcomes.write([STUDY, NIFTI])
        outcomes.add(Analysed(Outcome.BROKE_DOWN, "its process ended", study=NIFTI))
        outcomes.add(judged())
        assert [row["study"] for row in rows(tmp_path / "out")] == ["study-0002", "study-0001"]
        outcomes.write([STUDY, NIFTI])
    first, second = rows(tmp_path / "out")
    assert first["study"] == "study-0001"
    assert first["study_instance_uid"] == "1.2.3"
    assert first["file"] == ""
    assert (first["outcome"], first["verdict"], first["p_NCP"]) == ("verdict", "CP", "0.2")
    assert first["reason"] == 'said "so", it did'
    assert first["notes"] == "Pixels are coarse. The scan ends early."
    assert (second["outcome"], second["verdict"], second["p_CP"]) == ("broke-down", "", "")
    assert second["file"] == "b.nii"
    assert "DOE" not in (tmp_path / "out" / TABLE).read_text("utf-8")


def test_a_verdict_by_share_has_its_numbers_and_others_have_none(
    tmp_path: Path, conditions: Conditions
) -> None:
    found = ShareOfSlices(23, 100, 0.5, 0.1, {"CP": 0.6, "NCP": 0.4}, None)
    with Outcomes.opened(tmp_path / "out", conditions) as outcomes:
        outcomes.write([STUDY, NIFTI])
        outcomes.add(replace(judged(label=KIND_NOT_TOLD), by_share=found))
        outcomes.add(judged(NIFTI))
    told, by_vote = rows(tmp_path / "out")
    columns = ("verdict", "ill_slices", "judged_slices", "share")
    assert [told[name] for name in columns] == ["kind-not-told", "23", "100", "0.23"]
    assert [by_vote[name] for name in columns] == ["CP", "", "", ""]


def test_what_is_done_is_known_to_the_next_run(tmp_path: Path, conditions: Conditions) -> None:
    with Outcomes.opened(tmp_path, conditions) as outcomes:
        outcomes.write([STUDY, NIFTI])
        outcomes.add(judged())
        outcomes.add(Analysed(Outcome.BROKE_DOWN, "its process ended", study=NIFTI))
        report(tmp_path / STUDY.name, conditions)
    with Outcomes.opened(tmp_path, conditions) as outcomes:
        assert outcomes.has(STUDY)
        assert not outcomes.has(NIFTI)


@pytest.mark.parametrize(
    "changed",
    [
        {"groundglass_version": "0.0.1"},
        {"bundle_sha256": {}},
        {"recipe": {}},
        {"precision": "bf16"},
        {"explained_label": "NCP"},
        {"provenance": None},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_report_made_otherwise_is_made_again(
    tmp_path: Path, conditions: Conditions, changed: dict[str, object]
) -> None:
    with Outcomes.opened(tmp_path, conditions) as outcomes:
        outcomes.write([])
        outcomes.add(judged())
        report(tmp_path / STUDY.name, conditions, **changed)
        assert not outcomes.has(STUDY)


def test_another_class_to_explain_is_another_report(tmp_path: Path, conditions: Conditions) -> None:
    with Outcomes.opened(tmp_path, replace(conditions, explain="NCP")) as outcomes:
        outcomes.write([])
        outcomes.add(judged())
        report(tmp_path / STUDY.name, conditions)
        assert not outcomes.has(STUDY)


def test_a_study_with_other_files_or_without_its_report_comes_again(
    tmp_path: Path, conditions: Conditions
) -> None:
    with Outcomes.opened(tmp_path, conditions) as outcomes:
        outcomes.write([])
        outcomes.add(judged())
        assert not outcomes.has(STUDY)
        report(tmp_path / STUDY.name, conditions)
        more = replace(STUDY, entries=(*STUDY.entries, *NIFTI.entries))
        assert outcomes.has(STUDY)
        assert not outcomes.has(more)


def test_an_old_report_does_not_stand_for_files_that_were_refused_since(
    tmp_path: Path, conditions: Conditions
) -> None:
    with Outcomes.opened(tmp_path, conditions) as outcomes:
        outcomes.write([])
        report(tmp_path / STUDY.name, conditions)
        outcomes.add(Analysed(Outcome.NOT_CHEST_CT, "modality MR", study=STUDY))
        assert not outcomes.has(STUDY)


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path, conditions: Conditions) -> None:
    with Outcomes.opened(tmp_path, conditions) as outcomes:
        outcomes.write([])
        outcomes.add(judged())
        outcomes.add(judged(NIFTI))
    table = tmp_path / TABLE
    whole = table.read_bytes()
    for end in range(len(whole) - 1, whole.index(b"study-0002"), -1):
        table.write_bytes(whole[:end])
        with Outcomes.opened(tmp_path, conditions) as outcomes:
            assert list(outcomes.rows) == ["study-0001"]


def test_studies_of_earlier_runs_stay_in_the_table(tmp_path: Path, conditions: Conditions) -> None:
    for study in (STUDY, NIFTI):
        with Outcomes.opened(tmp_path, conditions) as outcomes:
            outcomes.write([study])
            outcomes.add(judged(study))
            outcomes.write([study])
    assert [row["study"] for row in rows(tmp_path)] == ["study-0002", "study-0001"]


def test_a_second_run_into_the_same_folder_is_refused(
    tmp_path: Path, conditions: Conditions
) -> None:
    with (
        Outcomes.opened(tmp_path, conditions),
        pytest.raises(ReportError, match="another run"),
        Outcomes.opened(tmp_path, conditions),
    ):
        pass
    with Outcomes.opened(tmp_path, conditions):
        pass  # the first has ended


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, conditions: Conditions) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ReportError, match=r"notes\.txt"), Outcomes.opened(tmp_path, conditions):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_table_of_another_bundle_is_not_mixed_with_ours(
    tmp_path: Path, conditions: Conditions
) -> None:
    with Outcomes.opened(tmp_path, conditions) as outcomes:
        outcomes.write([])
    other = replace(conditions, bundle=replace(conditions.bundle, labels=("ill", "healthy")))
    with pytest.raises(ReportError, match="other columns"), Outcomes.opened(tmp_path, other):
        pass


def test_a_folder_made_for_nothing_is_taken_away(tmp_path: Path, conditions: Conditions) -> None:
    with pytest.raises(KeyError), Outcomes.opened(tmp_path / "out", conditions):
        raise KeyError
    assert not (tmp_path / "out").exists()
