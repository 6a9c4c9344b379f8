"""Made studies are what they say, and are made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.study_files import MadeStudy, made, read
from pydicom import dcmread


def test_a_made_study_reads_the_same_compressed_and_is_made_once(tmp_path: Path) -> None:
    plain = made(MadeStudy(13, 160), tmp_path)
    packed = made(MadeStudy(13, 160, compressed=True), tmp_path)
    assert dcmread(packed / "CT0001.dcm").file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert np.array_equal(read(plain).hu, read(packed).hu)
    written = (plain / "CT0001.dcm").stat().st_mtime_ns
    made(MadeStudy(13, 160), tmp_path)
    assert (plain / "CT0001.dcm").stat().st_mtime_ns == written
