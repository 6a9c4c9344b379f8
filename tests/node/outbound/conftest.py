"""Reports as a worker hands them over, written by the program from a made study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import groundglass as gg
from groundglass.core.result import Outcome, TriageResult
from groundglass.errors import NoChestCT
from groundglass.report import write_refusal
from made_ct import ct_series, write
from made_result import made_result, without_verdict
from made_verdicts import by_share

#: What must be in a message, and nowhere else.
PATIENT = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Müller|&^Jürg~\\F\\^^Dr.^PhD=王^小东",
    "PatientID": "4711|A^B",
    "IssuerOfPatientID": "HOSP&ITAL",
    "PatientBirthDate": "19570101",
    "PatientSex": "F",
    "AccessionNumber": "ACC-0815",
    "StudyDate": "20210304",
}
SECRETS = ("Müller", "Jürg", "小东", "4711", "HOSP&ITAL", "19570101", "ACC-0815")

Findings = Callable[[TriageResult], TriageResult]
#: How a study can end, by what makes it of a result by vote.
ENDS: dict[str, Findings] = {
    "kind not told": lambda result: by_share(result, 12, cp=0.6),
    "kind told": lambda result: by_share(result, 12, cp=0.95),
    "none seen": lambda result: by_share(result, 0),
    "by vote": lambda result: result,
    "for a reader": lambda result: without_verdict(
        result, Outcome.FOR_A_READER, "Motion is out of range."
    ),
}


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of each end, and a refusal."""
    root = tmp_path_factory.mktemp("reports")
    images = ct_series()
    for image in images:
        for keyword, value in PATIENT.items():
            setattr(image, keyword, value)
    study = gg.read_study(write(images, root / "ct"))
    series = gg.select_chest_ct(study)
    volume = gg.read_volume(series)
    made = made_result(volume)
    folders = {end: root / end.replace(" ", "-") for end in (*ENDS, "refused")}
    for end, make in ENDS.items():  # of weights of its own, so that no two have one UID
        weights = replace(made.provenance, bundle_sha256={"encoder.onnx": end})
        gg.write_report(make(replace(made, provenance=weights)), volume, folders[end])
    error = NoChestCT("nothing", expected="an axial chest CT", action="Send one.")
    write_refusal(series.instances, error, folders["refused"])
    return folders


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
