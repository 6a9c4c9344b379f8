"""Series computed from several X-ray energies are read, and the result says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundglass.read import read_study, read_volume
from groundglass.read.dicom.description_terms import virtual_energy
from made_ct import as_bytes, ct_series, enhanced_ct, thorax, write

AXIAL = ("ORIGINAL", "PRIMARY", "AXIAL")


@pytest.mark.parametrize(
    ("image_type", "words", "found"),
    [
        (("DERIVED", "PRIMARY", "AXIAL", "VMI"), "", "virtual monoenergetic images"),
        (AXIAL, "Thorax 70 keV", "virtual monoenergetic images of 70 keV"),
        (AXIAL, "Mono+ 40keV lung", "virtual monoenergetic images of 40 keV"),
        (AXIAL, "MonoE_55keV", "virtual monoenergetic images of 55 keV"),
        (AXIAL, "GSI MONO CHEST", "virtual monoenergetic images"),
        (AXIAL, "monoenergetic chest", "virtual monoenergetic images"),
        (("DERIVED", "PRIMARY", "VOLUME", "MAT_REMOVED"), "", "virtual non-contrast images"),
        (AXIAL, "VNC 1.5 mm", "virtual non-contrast images"),
        (AXIAL, "Chest VUE", "virtual non-contrast images"),
        (AXIAL, "virtual non-contrast", "virtual non-contrast images"),
        (AXIAL, "TNC", None),
        (AXIAL, "Thorax 120 kV 1.0", None),
        (AXIAL, "MONOPHASIC", None),
        (("MONO", "VNC", "AXIAL"), "", None),
        ((), "", None),
    ],
)
def test_what_names_them(image_type: tuple[str, ...], words: str, found: str | None) -> None:
    assert virtual_energy(image_type, words) == found


@pytest.mark.parametrize(
    "header",
    [
        {"SeriesDescription": "Chest 65 keV"},
        {"DerivationDescription": "Monoenergetic 65 keV"},
        {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "VMI"]},
    ],
    ids=str,
)
def test_a_classic_series_is_noted(tmp_path: Path, header: dict[str, object]) -> None:
    (series,) = read_study(write(ct_series(thorax(4), **header), tmp_path)).series
    (note,) = read_volume(series).notes
    assert "virtual monoenergetic images" in note


def test_an_enhanced_series_is_noted(tmp_path: Path) -> None:
    data = enhanced_ct(thorax(4))
    group = data.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0]
    group.FrameType = ["DERIVED", "PRIMARY", "VOLUME", "VMI"]
    (tmp_path / "x").write_bytes(as_bytes(data))
    (series,) = read_study(tmp_path).series
    (note,) = read_volume(series).notes
    assert "virtual monoenergetic images" in note
