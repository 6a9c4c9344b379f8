"""What an instance says of itself at its beginning, however it is encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from groundglass.node.inbound import header_scan
from groundglass.node.inbound.header_scan import Unfit
from groundglass.node.inbound.instances import IncomingInstance, admit
from groundglass.node.uids import is_uid
from made_ct import ct_series

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def encoded(data: Dataset, syntax: str) -> bytes:
    raw = encode(data, syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)
    assert raw is not None
    return raw


def an_image(*, sequence: str = "") -> Dataset:
    """With a sequence before the last UID that is wanted: of a stated length, or without."""
    data: Dataset = ct_series(StudyDescription="Thorax ü")[0]
    if sequence:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2", "1.2.3"
        item.SeriesInstanceUID = "9.9.9"  # of another series: not what is asked for
        data.ReferencedStudySequence = Sequence([item])
        data["ReferencedStudySequence"].is_undefined_length = sequence == "undefined"
        item.is_undefined_length_sequence_item = sequence == "undefined"
    return data


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("sequence", ["", "defined", "undefined"])
def test_every_encoding_says_the_same(syntax: str, sequence: str) -> None:
    data = an_image(sequence=sequence)
    raw = encoded(data, syntax)
    seen, content = admit(iter([raw]), syntax, "CT1")
    assert seen == IncomingInstance(
        str(data.SOPClassUID), str(data.SOPInstanceUID), str(data.StudyInstanceUID),
        str(data.SeriesInstanceUID), syntax, seen.study_description, "CT1",
    )  # fmt: skip
    assert seen.study_description.startswith("Thorax")
    assert b"".join(content).endswith(raw)


@pytest.mark.parametrize("syntax", SYNTAXES[:2])
@pytest.mark.parametrize("sequence", ["", "defined"])
def test_what_has_lengths_is_stepped_through(
    syntax: str, sequence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without reading each element, which would be most of the work on an image."""
    monkeypatch.setattr(header_scan, "_read", lambda *_, **__: pytest.fail("was read"))
    admit(iter([encoded(an_image(sequence=sequence), syntax)]), syntax, "CT1")


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("sequence", ["", "undefined"])
def test_what_rules_ask_for_is_told_however_it_is_encoded(syntax: str, sequence: str) -> None:
    """Also what comes after the UIDs, what is no text, what is not there."""
    data = an_image(sequence=sequence)
    data.StationName, data.PatientAge, data.SliceThickness = "CT1 ", "045Y", "1.250"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.ReconstructionTargetCenterPatient = [1.5, -2.0, 0.0]  # VR FD
    keywords = ("StationName", "PatientAge", "SliceThickness", "ImageType", "BodyPartExamined")
    keywords += ("Rows", "ReconstructionTargetCenterPatient")
    seen, content = admit(iter([raw := encoded(data, syntax)]), syntax, "CT1", keywords)
    assert seen.by_keyword == {
        "StationName": ("CT1",),
        "PatientAge": ("045Y",),
        "SliceThickness": ("1.250",),
        "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "Rows": (str(data.Rows),),
        "ReconstructionTargetCenterPatient": ("1.5", "-2", "0"),
    }
    assert b"".join(content).endswith(raw)


def test_what_comes_too_late_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_scan, "_FIRST_LOOK", 100)
    monkeypatch.setattr(header_scan, "_LAST_LOOK", 1000)
    data = an_image()
    data.add_new((0x0021, 0x0010), "LO", "PRIVATE")
    data.add_new((0x0021, 0x1001), "OB", bytes(10_000))
    raw = encoded(data, ExplicitVRLittleEndian)
    pieces = (raw[at : at + 100] for at in range(0, len(raw), 100))
    seen, content = admit(pieces, ExplicitVRLittleEndian, "CT1", ("Modality", "Rows"))
    assert seen.by_keyword == {"Modality": ("CT",)}
    assert b"".join(content).endswith(raw)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_one_without_a_uid_is_unfit(syntax: str) -> None:
    data = an_image()
    del data.StudyInstanceUID
    with pytest.raises(Unfit, match="no study instance uid"):
        admit(iter([encoded(data, syntax)]), syntax, "CT1")


@given(st.binary(max_size=400), st.integers(0, 300), st.sampled_from(SYNTAXES))
def test_whatever_comes_is_known_or_unfit(junk: bytes, at: int, syntax: str) -> None:
    raw = encoded(an_image(), syntax)
    try:
        seen, _ = admit(iter([raw[:at] + junk + raw[at:]]), syntax, "CT1")
    except Unfit:
        return
    assert all(map(is_uid, (seen.sop_instance_uid, seen.study_instance_uid)))
