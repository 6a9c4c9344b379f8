"""Studies in a pile of files are told apart by what the files say."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from groundglass.errors import ReadError
from groundglass.read import read_volume, select_chest_ct
from groundglass.read.reading import read_entries
from groundglass.read.studies import StudyFiles, find_studies
from made_ct import STUDY_UID, as_bytes, ct_series, thorax, write

OTHER_UID = f"{STUDY_UID}.77"


def by_uid(studies: tuple[StudyFiles, ...]) -> dict[str, StudyFiles]:
    return {study.study_instance_uid: study for study in studies}


def other(seed: int = 5) -> list[object]:
    return ct_series(  # type: ignore[return-value]
        thorax(seed=seed), number=2, StudyInstanceUID=OTHER_UID
    )


def test_files_of_two_studies_in_one_folder(tmp_path: Path) -> None:
    for index, pair in enumerate(zip(ct_series(), other(), strict=True)):
        for which, data in enumerate(pair):
            (tmp_path / f"{index * 7919 % 101}-{which}").write_bytes(as_bytes(data))  # type: ignore[arg-type]
    studies, rejected = find_studies([tmp_path])
    assert rejected == ()
    found = by_uid(studies)
    assert set(found) == {STUDY_UID, OTHER_UID}
    for uid, seed in ((STUDY_UID, 0), (OTHER_UID, 5)):
        volume = read_volume(select_chest_ct(read_entries(found[uid].entries)))
        np.testing.assert_array_equal(volume.hu, thorax(seed=seed))


def test_one_study_in_two_inputs_of_which_one_is_a_zip_inside_a_folder(tmp_path: Path) -> None:
    series = ct_series()
    write(series[:10], tmp_path / "cd1")
    (tmp_path / "cd2").mkdir()
    with zipfile.ZipFile(tmp_path / "cd2" / "rest.ZIP", "w") as archive:
        for index, data in enumerate(series[10:]):
            archive.writestr(f"{index}", as_bytes(data))
    (study,), _ = find_studies([tmp_path / "cd1", tmp_path / "cd2"])
    assert len(study.entries) == len(series)
    assert study.size == sum(entry.size for entry in study.entries) > 0
    volume = read_volume(select_chest_ct(read_entries(study.entries)))
    np.testing.assert_array_equal(volume.hu, thorax())


def test_a_file_reached_twice_counts_once(tmp_path: Path) -> None:
    write(ct_series(), tmp_path / "a")
    (study,), _ = find_studies([tmp_path, tmp_path / "a", tmp_path / "a" / "im0000"])
    assert len(study.entries) == len(ct_series())


def test_names_are_of_the_study_and_not_of_place_or_person(tmp_path: Path) -> None:
    for folder in ("DOE^JANE", "other/DOE^JANE"):
        write(ct_series(PatientName="DOE^JANE"), tmp_path / folder)
    (first,), _ = find_studies([tmp_path / "DOE^JANE"])
    (second,), _ = find_studies([tmp_path / "other"])
    assert first.name == second.name
    assert first.name.startswith("study-")
    assert "DOE" not in first.name
    assert STUDY_UID not in first.name
    write(other(), tmp_path / "third")  # type: ignore[arg-type]
    (third,), _ = find_studies([tmp_path / "third"])
    assert third.name != first.name


def nifti(path: Path, seed: int) -> None:
    image = nibabel.Nifti1Image(thorax(seed=seed).T, np.diag([5, 5, 10, 1]))
    nibabel.save(image, path)


def test_each_nifti_file_is_a_study_and_its_copy_is_set_aside(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii.gz", 1)
    nifti(tmp_path / "b.nii", 2)
    (tmp_path / "c.nii").write_bytes((tmp_path / "b.nii").read_bytes())
    studies, (copy,) = find_studies([tmp_path])
    assert [study.entries[0].name for study in studies] == ["a.nii.gz", "b.nii"]
    assert {study.study_instance_uid for study in studies} == {""}
    assert len({study.name for study in studies}) == 2
    assert (copy.what, copy.reason) == ("c.nii", "a copy of another volume file")


def test_what_belongs_to_no_study_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    write(ct_series(), tmp_path / "good")
    (tmp_path / "letter.txt").write_text("a letter")
    (tmp_path / "empty").touch()
    (tmp_path / "half.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 300)
    cv2.imwrite(str(tmp_path / "slice.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 and no more")
    (nameless, *_) = ct_series()
    del nameless.StudyInstanceUID
    (tmp_path / "nameless").write_bytes(as_bytes(nameless))
    studies, rejected = find_studies([tmp_path])
    assert len(studies) == 1
    reasons = {rejection.what: rejection.reason for rejection in rejected}
    assert "no image format" in reasons["letter.txt"]
    assert "an empty file" in reasons["empty"]
    assert "half.dcm" in reasons
    assert "does not say which study" in reasons["slice.png"]
    assert "without a Study Instance UID" in reasons["nameless"]
    assert "broken.zip" in reasons
    assert len(reasons) == 6


def test_a_pile_without_any_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("a letter")
    with pytest.raises(ReadError, match="no usable image among 1 files"):
        find_studies([tmp_path])


def test_progress_reaches_the_number_of_files(tmp_path: Path) -> None:
    write(ct_series(), tmp_path)
    seen: list[tuple[int, int]] = []
    find_studies([tmp_path], progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (len(ct_series()), len(ct_series()))


def test_a_folder_for_results_inside_an_input_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ct_series()[:20], tmp_path / "scans")
    write(ct_series()[20:], tmp_path / "reports" / "dicom")
    monkeypatch.chdir(tmp_path)
    (study,), rejected = find_studies([Path()], but=Path("reports"))
    assert len(study.entries) == 20
    assert rejected == ()
