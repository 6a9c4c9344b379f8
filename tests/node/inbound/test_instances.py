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
