"""Each public data set, as a made folder of its layout."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from groundglass.cohort import Case, read_cohort, write_cohort
from groundglass.cohort.importers import DATASETS, Imported, ImportSettings, import_dataset
from groundglass.errors import ReadError, SettingsError


def _touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _import(name: str, root: Path, settings: ImportSettings | None = None) -> Imported:
    """Imported, and the same after writing and reading."""
    table = root.parent / "table.csv"
    imported = import_dataset(name, root, table, settings)
    assert read_cohort(write_cohort(imported.cohort, table)) == imported.cohort
    return imported


def _facts(cases: Iterable[Case], root: Path) -> list[tuple[str, ...]]:
    return [
        (c.patient, c.study.relative_to(root).as_posix(), c.label, c.split, c.source) for c in cases
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data set"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("word", ["Cases", "subjects"])
def test_covid_ct_md(root: Path, word: str) -> None:
    _touch(
        root,
        f"COVID-19 {word}/P001/IM0001.dcm",
        f"COVID-19 {word}/P002/IM0001.dcm",
        f"Cap {word}/cap001/IM0001.dcm",
        f"Normal {word}/normal046/IM0063.dcm",
        "Lobe-level-labels.npy",
        ".DS_Store",
    )
    (root / "Index.csv").write_text(
        "Label Index,Diagnosis,Relative Path,Folder/ID\n0,COVID-19,./COVID-19/,P001\n"
    )
    cases = _import("covid-ct-md", root).cohort.cases
    assert _facts(cases, root) == [
        ("covid-ct-md/P001", f"COVID-19 {word}/P001", "CP", "", "covid-ct-md"),
        ("covid-ct-md/P002", f"COVID-19 {word}/P002", "CP", "", "covid-ct-md"),
        ("covid-ct-md/cap001", f"Cap {word}/cap001", "NCP", "", "covid-ct-md"),
        ("covid-ct-md/normal046", f"Normal {word}/normal046", "healthy", "", "covid-ct-md"),
    ]
    assert [case.extra["slice_labels"] for case in cases] == ["yes", "", "", ""]


def test_cc_ccii_words_are_the_reverse_of_ours(root: Path) -> None:
    """There NCP is novel coronavirus pneumonia, and CP common pneumonia."""
    _touch(root, "NCP/16/1164/0000.png", "CP/16/3309/0000.jpg", "Normal/1/1/0000.png")
    imported = _import("cc-ccii", root)
    assert _facts(imported.cohort.cases, root) == [
        ("cc-ccii/CP_16", "CP/16/3309", "NCP", "", "cc-ccii"),
        ("cc-ccii/NCP_16", "NCP/16/1164", "CP", "", "cc-ccii"),
        ("cc-ccii/Normal_1", "Normal/1/1", "healthy", "", "cc-ccii"),
    ]
    assert imported.notes == ()


def test_cc_ccii_takes_the_hkbu_lists(root: Path) -> None:
    _touch(
        root, "NCP/16/1164/0000.png", "NCP/16/1165/0000.png", "CP/590/2952/0000.png",
        "Normal/1/1/0000.png", "Normal/1/2/0000.png",
    )  # fmt: skip
    lists = {
        "ct_train.json": {"NCP": {"16": {"1164": ["0000.png"], "1165": ["0000.png"]}}},
        "ct_val.json": {"Normal": {"1": {"1": ["0000.png"]}}},
        "ct_test.json": {"CP": {"590": {"2952": ["0000.png"]}, "591": {"7": []}}},
    }
    for name, content in lists.items():
        (root / name).write_text(json.dumps(content))
    imported = _import("cc-ccii", root)
    assert [(c.extra["scan"], c.split) for c in imported.cohort.cases] == [
        ("2952", "test"), ("1164", "train"), ("1165", "train"), ("1", "validation"), ("2", ""),
    ]  # fmt: skip
    assert imported.notes == (
        "1 scans of the split lists are not in the folder.",
        "1 scans are in none of the split lists; their split is empty.",
    )
    (root / "ct_test.json").write_text('["no such list"]')
    with pytest.raises(ReadError, match=r"ct_test\.json, which is no split list"):
        _import("cc-ccii", root)


def test_covidx_ct(root: Path) -> None:
    (root / "metadata.csv").write_text(
        "patient id,source,country,sex,age,finding,verified finding,slice selection,view,modality\n"
        "CP_1,CNCB,China,F,77,Pneumonia,Yes,Expert,Axial,CT\n"
        "CP_10,CNCB,China,,,Pneumonia,Yes,Expert,Axial,CT\n"
        "patient1,Radiopaedia,Italy,M,40,COVID-19,Yes,Expert,Axial,CT\n"
        "study,Other,Nowhere,,,COVID-19,No,Expert,Axial,CT\n"
        "study_0306,MosMedData,Russia,,,COVID-19,No,Expert,Axial,CT\n"
        "normal001,COVID-CT-MD,Iran,,,Normal,Yes,Expert,Axial,CT\n"
    )
    (root / "train_COVIDx_CT-3A.txt").write_text(
        "CP_10_3131_0001.png 1 9 10 500 400\n"
        "137covid_patient1_SR_3_IM00013.png 2 1 2 3 4\n"
        "study_0306-0017.png 2 0 0 512 512\n"
        "stranger_0001.png 2 0 0 1 1\n"
    )
    (root / "val_COVIDx_CT-3A.txt").write_text("COVIDCTMD-normal001-IM0001.png 0 0 0 5 5\n\n")
    (root / "test_COVIDx_CT-3A.txt").write_text(
        "CP_1_7_0001.png 1 0 0 5 5\nCP_1_7_0002.png 1 0 0 5 5\n"
    )
    _touch(
        root / "3A_images", "CP_10_3131_0001.png", "137covid_patient1_SR_3_IM00013.png",
        "study_0306-0017.png", "stranger_0001.png", "COVIDCTMD-normal001-IM0001.png",
        "CP_1_7_0001.png",
    )  # fmt: skip
    imported = _import("covidx-ct", root)
    assert [(c.patient, c.label, c.split, c.source) for c in imported.cohort.cases] == [
        ("covidx-ct/CP_1", "NCP", "test", "covidx-ct/CNCB"),
        ("covidx-ct/CP_10", "NCP", "train", "covidx-ct/CNCB"),
        ("covidx-ct/normal001", "healthy", "validation", "covidx-ct/COVID-CT-MD"),
        ("covidx-ct/patient1", "CP", "train", "covidx-ct/Radiopaedia"),
        ("covidx-ct/study_0306", "CP", "train", "covidx-ct/MosMedData"),
    ]
    extra = imported.cohort.cases[1].extra
    assert [extra[name] for name in ("xmin", "ymin", "xmax", "ymax")] == ["9", "10", "500", "400"]
    assert imported.cohort.cases[0].extra["age"] == "77"
    assert imported.notes == (
        "1 slices left out: no patient of metadata.csv is in their name.",
        "1 slices of the lists are not in the folder.",
    )


@pytest.mark.parametrize("line", ["a.png 3 0 0 1 1", "a.png 1 0 0", "a.png"])
def test_a_strange_line_of_covidx_ct_is_refused(root: Path, line: str) -> None:
    (root / "metadata.csv").write_text("patient id,source\na,b\n")
    (root / "train_COVIDx_CT-2A.txt").write_text(f"\n{line}\n")
    with pytest.raises(ReadError, match=r"line 2 of train_COVIDx_CT-2A\.txt"):
        _import("covidx-ct", root)


@pytest.mark.parametrize("nested", ["", "COVID19_1110/"])
def test_mosmed(root: Path, nested: str) -> None:
    _touch(
        root,
        f"{nested}dataset_registry.xlsx",
        f"{nested}studies/CT-0/study_0001.nii.gz",
        f"{nested}studies/CT-1/study_0255.nii.gz",
        f"{nested}studies/CT-4/study_1109.nii",
        f"{nested}masks/study_0255_mask.nii.gz",
    )
    cases = _import("mosmed", root).cohort.cases
    assert [(c.patient, c.label, c.extra["severity"]) for c in cases] == [
        ("mosmed/study_0001", "healthy", "CT-0"),
        ("mosmed/study_0255", "CP", "CT-1"),
        ("mosmed/study_1109", "CP", "CT-4"),
    ]
    assert [c.extra["lesion_mask"] for c in cases] == [
        "", str(root / f"{nested}masks/study_0255_mask.nii.gz"), "",
    ]  # fmt: skip


def test_mosmed_slices(root: Path) -> None:
    (root / "labels.csv").write_text(
        "file,patient_id,label,severity\n"
        "ct0-0000.jpg,ct0-0000,healthy,CT-0\nct2-0001.jpg,ct2-0001,covid,CT-2\n"
        "gone.jpg,ct3-0001,covid,CT-3\n"
    )
    _touch(root / "images", "ct0-0000.jpg", "ct2-0001.jpg")
    imported = _import("mosmed", root)
    assert _facts(imported.cohort.cases, root) == [
        ("mosmed/ct0-0000", "images/ct0-0000.jpg", "healthy", "", "mosmed"),
        ("mosmed/ct2-0001", "images/ct2-0001.jpg", "CP", "", "mosmed"),
    ]
    assert imported.notes == ("1 images of labels.csv are not in the folder.",)
    (root / "labels.csv").write_text("file,patient_id,severity\nct0-0000.jpg,a,CT-9\n")
    with pytest.raises(ReadError, match="the severity 'CT-9'"):
        _import("mosmed", root)


def test_stoic2021(root: Path) -> None:
    (root / "metadata").mkdir()
    (root / "metadata" / "reference.csv").write_text(
        "PatientID,probCOVID,probSevere\n7,1,0\n9,0,0\n12,1.0,1.0\n15,1,0\n"
    )
    _touch(root / "data" / "mha", "7.mha", "9.mha", "12.mha")
    imported = _import("stoic2021", root)
    assert [(c.patient, c.label, c.extra["severe"]) for c in imported.cohort.cases] == [
        ("stoic2021/12", "CP", "1"),
        ("stoic2021/7", "CP", "0"),
        ("stoic2021/9", "PCR-negative", "0"),
    ]
    assert imported.notes[0] == "1 patients of reference.csv have no volume in the folder."
    (root / "metadata" / "reference.csv").write_text("PatientID,probCOVID,probSevere\n7,0.3,0\n")
    with pytest.raises(ReadError, match=r"probCOVID '0\.3'"):
        _import("stoic2021", root)


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_cov19_ct_db(root: Path, validation: str) -> None:
    _touch(
        root, "train/covid/ct_scan_0/0.jpg", "train/non-covid/ct_scan_0/0.jpg",
        f"{validation}/covid/ct_scan_0/0.jpg", "test/ct_scan_0/0.jpg", "test/ct_scan_1/0.jpg",
    )  # fmt: skip
    (root / "train" / "annotations").mkdir()
    (root / "train" / "annotations" / "train_covid.csv").write_text(
        "ct_scan_name,data_centre\nct_scan_0,2\n"
    )
    (root / "train_noncovid.csv").write_text("ct_scan_name,data_centre\nct_scan_0,3\n")
    imported = _import("cov19-ct-db", root)
    assert _facts(imported.cohort.cases, root) == [
        ("cov19-ct-db/train/covid/ct_scan_0", "train/covid/ct_scan_0", "CP", "train",
         "cov19-ct-db/centre-2"),
        ("cov19-ct-db/train/non-covid/ct_scan_0", "train/non-covid/ct_scan_0", "non-COVID", "train",
         "cov19-ct-db/centre-3"),
        ("cov19-ct-db/validation/covid/ct_scan_0", f"{validation}/covid/ct_scan_0", "CP",
         "validation", "cov19-ct-db"),
    ]  # fmt: skip
    assert "scans, not patients" in imported.notes[0]
    assert imported.notes[1] == "2 scans of test/ left out: no labels."


@pytest.mark.parametrize("nested", ["Images-processed/", ""])
def test_ucsd_covid_ct(root: Path, nested: str) -> None:
    _touch(
        root, f"{nested}CT_COVID/2020.01.24 paper-p3-89%0.png", f"{nested}CT_COVID/second.png",
        f"{nested}CT_COVID/nobody.png", f"{nested}CT_NonCOVID/0.jpg",
    )  # fmt: skip
    (root / "COVID-CT-MetaInfo.csv").write_text(
        "File name,Patient ID,Age\n2020.01.24 paper-p3-89%0.png,Patient 1,40\nsecond,Patient 1,\n"
    )
    (root / "NonCOVID-CT-MetaInfo.csv").write_text("image name,patient id\n0.jpg,Patient 1\n")
    _touch(root / "Data-split" / "NonCOVID")
    (root / "Data-split" / "COVID").mkdir(parents=True)
    (root / "Data-split" / "COVID" / "trainCT_COVID.txt").write_text("second.png\n")
    (root / "Data-split" / "COVID" / "testCT_COVID.txt").write_text("nobody.png\n")
    imported = _import("ucsd-covid-ct", root)
    assert [(c.patient, c.study.name, c.label, c.split) for c in imported.cohort.cases] == [
        ("ucsd-covid-ct/COVID/Patient 1", "2020.01.24 paper-p3-89%0.png", "CP", ""),
        ("ucsd-covid-ct/COVID/Patient 1", "second.png", "CP", "train"),
        ("ucsd-covid-ct/NonCOVID/Patient 1", "0.jpg", "non-COVID", ""),
    ]
    assert imported.notes == ("1 images left out: whose they are is not known.",)


def test_ucsd_covid_ct_without_the_table_of_patients_is_refused(root: Path) -> None:
    _touch(root, "CT_COVID/a.png", "COVID-CT-MetaInfo.xlsx")
    with pytest.raises(ReadError, match=r"save COVID-CT-MetaInfo\.xlsx as CSV"):
        _import("ucsd-covid-ct", root)


def test_covid_ct_slices(root: Path) -> None:
    (root / "labels.csv").write_text(
        "file,label,patient_id,source_name\ncovid-0001.png,covid,covid-001,x%0.png\n"
        "noncovid-0001.png,noncovid,,y.png\nnoncovid-0002.png,noncovid,noncovid-2,z.png\n"
    )
    _touch(root / "images", "covid-0001.png", "noncovid-0001.png", "noncovid-0002.png")
    imported = _import("ucsd-covid-ct", root)
    assert _facts(imported.cohort.cases, root) == [
        ("ucsd-covid-ct/covid-001", "images/covid-0001.png", "CP", "", "ucsd-covid-ct"),
        ("ucsd-covid-ct/noncovid-2", "images/noncovid-0002.png", "non-COVID", "", "ucsd-covid-ct"),
    ]
    assert imported.notes == ("1 images left out: whose they are is not known.",)
    (root / "labels.csv").write_text("file,label,patient_id\ncovid-0001.png,sick,a\n")
    with pytest.raises(ReadError, match="the labels sick"):
        _import("ucsd-covid-ct", root)


def test_finding_lungs(root: Path) -> None:
    _touch(
        root, "2d_images/ID_0000_Z_0142.tif", "2d_masks/ID_0000_Z_0142.tif",
        "2d_images/ID_0001_Z_0146.tif", "3d_images/IMG_0002.nii.gz", "3d_images/MASK_0002.nii.gz",
        "lung_stats.csv",
    )  # fmt: skip
    imported = _import("finding-lungs", root)
    assert _facts(imported.cohort.cases, root) == [
        ("finding-lungs/ID_0000", "2d_images/ID_0000_Z_0142.tif", "unlabelled", "",
         "finding-lungs"),
        ("finding-lungs/IMG_0002", "3d_images/IMG_0002.nii.gz", "unlabelled", "", "finding-lungs"),
    ]  # fmt: skip
    assert [c.extra["mask"] for c in imported.cohort.cases] == [
        str(root / "2d_masks/ID_0000_Z_0142.tif"),
        str(root / "3d_images/MASK_0002.nii.gz"),
    ]
    assert imported.notes == ("1 images left out: they have no mask.",)
    text = (root.parent / "table.csv").read_text()
    assert ",data set/2d_masks/ID_0000_Z_0142.tif" in text, "masks move with the table"


def test_finding_lungs_in_splits(root: Path) -> None:
    for part in ("train", "val", "test"):
        _touch(root, f"{part}/images/ID_{part}_Z_1.tif", f"{part}/masks/ID_{part}_Z_1.png")
    cases = _import("finding-lungs", root).cohort.cases
    assert {(c.study.parts[-3], c.split) for c in cases} == {
        ("train", "train"), ("val", "validation"), ("test", "test"),
    }  # fmt: skip


def test_lung_volumes(root: Path) -> None:
    (root / "labels.csv").write_text(
        "file,patient,class,source,values,slices,lung mask,lesion mask\n"
        'medseg-3.npz,medseg-2,CP,MedSeg,"grey, not HU",209,yes,yes\n'
        "lung1-002.npz,lung1-002,lung cancer,NSCLC-Radiomics,HU,111,yes,no\n"
        "gone.npz,gone,CP,MedSeg,HU,1,yes,no\n"
    )
    _touch(root, "medseg-3.npz", "lung1-002.npz")
    imported = _import("lung-volumes", root)
    cancer, covid = imported.cohort.cases
    assert _facts(imported.cohort.cases, root) == [
        ("lung-volumes/lung1-002", "lung1-002.npz", "lung cancer", "", "lung-volumes"),
        ("lung-volumes/medseg-2", "medseg-3.npz", "CP", "", "lung-volumes"),
    ]
    assert cancer.extra == {
        "mask": str(root / "lung1-002.npz"), "lesion_mask": "", "faulty_slices": "66 67 73 80 81",
    }  # fmt: skip
    assert covid.extra["lesion_mask"] == str(root / "medseg-3.npz")
    assert covid.extra["faulty_slices"] == ""
    assert imported.notes == ("1 volumes of labels.csv are not in the folder.",)


def test_lesion_slices_bear_the_name_their_patient_has_among_volumes(root: Path) -> None:
    (root / "labels.csv").write_text(
        "image,lungs,lesions,patient_guess,class\n"
        "ct/1.jpg,lungs/1.png,lesions/1.png,cs-01,CP\n"
        "ct/2.jpg,lungs/2.png,lesions/2.png,cs-14,CP\n"
        "ct/3.jpg,lungs/3.png,lesions/3.png,cs-14,CP\n"
    )
    _touch(root, *(f"{folder}/{k}.{end}" for k in (1, 2) for folder, end in
                   (("ct", "jpg"), ("lungs", "png"), ("lesions", "png"))), "ct/3.jpg")  # fmt: skip
    imported = _import("lesion-slices", root)
    assert _facts(imported.cohort.cases, root) == [
        ("lesion-slices/cs-01", "ct/1.jpg", "CP", "", "lesion-slices"),
        ("lung-volumes/medseg-5", "ct/2.jpg", "CP", "", "lesion-slices"),
    ]
    assert imported.cohort.cases[1].extra == {
        "mask": str(root / "lungs/2.png"), "lesion_mask": str(root / "lesions/2.png"),
    }  # fmt: skip
    assert imported.notes[0] == "1 slices of labels.csv are not in the folder."


def test_a_folder_for_each_class(root: Path) -> None:
    _touch(root, "viral/ann/a.dcm", "viral/ann/b/c.dcm", "bacterial/bob.nii.gz", "viral/.DS_Store")
    imported = _import("folders", root, ImportSettings(source="St Mary"))
    assert _facts(imported.cohort.cases, root) == [
        ("St Mary/ann", "viral/ann", "viral", "", "St Mary"),
        ("St Mary/bob", "bacterial/bob.nii.gz", "bacterial", "", "St Mary"),
    ]


def test_a_folder_for_each_split_and_class(root: Path) -> None:
    _touch(root, "train/CP/a/1.dcm", "Test/CP/b/1.dcm", "val/healthy/c/1.dcm")
    cases = _import("folders", root).cohort.cases
    assert [(c.patient, c.label, c.split) for c in cases] == [
        ("folders/a", "CP", "train"), ("folders/b", "CP", "test"),
        ("folders/c", "healthy", "validation"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_another_layout_is_refused_with_the_right_one(root: Path, name: str) -> None:
    with pytest.raises(ReadError, match=r"public-datasets\.md"):
        _import(name, root)


def test_what_is_not_there_is_refused(root: Path) -> None:
    with pytest.raises(SettingsError, match="no importer called 'flu'"):
        import_dataset("flu", root, root / "t.csv")
    with pytest.raises(ReadError, match="no folder"):
        import_dataset("mosmed", root / "gone", root / "t.csv")


def test_what_images_do_not_say_can_be_stated(root: Path) -> None:
    _touch(root, "NCP/1/2/0000.png")
    stated = {"window_center_hu": "-600", "first_slice": "head"}
    (case,) = _import("cc-ccii", root, ImportSettings(stated=stated)).cohort.cases
    assert {name: case.extra[name] for name in stated} == stated
    with pytest.raises(SettingsError, match="colour"):
        ImportSettings(stated={"colour": "red"})


def test_tables_that_cannot_be_read_are_refused(root: Path) -> None:
    (root / "metadata.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ReadError, match=r"metadata\.csv, which cannot be read"):
        _import("covidx-ct", root)
    (root / "metadata.csv").write_text("patient,source\n")
    with pytest.raises(ReadError, match=r"metadata\.csv without the columns patient id"):
        _import("covidx-ct", root)


def test_each_data_set_says_whose_it_is_and_its_page_says_it_too() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "public-datasets.md"
    text = " ".join(page.read_text("utf-8").split())
    for name, dataset in DATASETS.items():
        assert name == dataset.name
        assert f"`{name}`" in text
        for said in (dataset.licence, dataset.citation, dataset.url):
            assert said in text, f"{said!r} is not on the page of public data sets"
        for theirs, ours in dataset.labels.items():
            assert theirs in text
            assert ours in text


@pytest.mark.parametrize(
    ("name", "folder", "counts"),
    [
        ("mosmed", "mosmed-slices", {"CP": 856, "healthy": 254}),
        ("ucsd-covid-ct", "covid-ct-slices", {"CP": 348, "non-COVID": 374}),
        ("finding-lungs", "lung-masks", {"unlabelled": 267}),
        ("lung-volumes", "lung-volumes", {"CP": 6, "lung cancer": 2}),
        ("lesion-slices", "lesion-slices", {"CP": 504}),
    ],
)
def test_the_development_data_are_imported_whole(
    shared_data: Path, tmp_path: Path, name: str, folder: str, counts: dict[str, int]
) -> None:
    cohort = import_dataset(name, shared_data / folder, tmp_path / "t.csv").cohort
    assert {label: len(cohort.of_label(label).cases) for label in cohort.labels} == counts
