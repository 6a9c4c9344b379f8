"""Made studies are what they say, and are made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.study_files import MadeStudy, made, numbered, read
from pydicom import dcmread


def test_a_made_study_reads_the_same_compressed_and_is_made_once(tmp_path: Path) -> None:
    plain = made(MadeStudy(13, 160), tmp_path)
    packed = made(MadeStudy(13, 160, compressed=True), tmp_path)
    assert dcmread(packed / "CT0001.dcm").file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert np.array_equal(read(plain).hu, read(packed).hu)
    written = (plain / "CT0001.dcm").stat().st_mtime_ns
    made(MadeStudy(13, 160), tmp_path)
    assert (plain / "CT0001.dcm").stat().st_mtime_ns == written


def test_numbered_copies_are_other_studies_of_the_same_pixels(tmp_path: Path) -> None:
    kind = MadeStudy(13, 160)
    copies = [numbered(kind, k, tmp_path, tmp_path / "copies") for k in (1, 2)]
    first, second = (dcmread(copy / "CT0001.dcm") for copy in copies)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert first[keyword].value != second[keyword].value
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert np.array_equal(read(copies[0]).hu, read(made(kind, tmp_path)).hu)
    assert len({dcmread(path).StudyInstanceUID for path in copies[0].iterdir()}) == 1
