"""Pages as DICOM Secondary Capture images (PS3.3 A.8): what every viewer shows."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sc import SCImage
from pydicom.uid import ExplicitVRLittleEndian

from groundglass.report.canvas import Picture
from groundglass.report.envelope import DicomObject, Envelope
from groundglass.report.identity import ResultKind

_KIND = ResultKind.CAPTURE


def captures(
    pages: Sequence[Picture], study_instance_uid: str, envelope: Envelope, *, quotes: bool = False
) -> list[DicomObject]:
    """Each page as an image, numbered from 1.

    Uncompressed: some viewers of secondary captures read nothing else.

    Parameters
    ----------
    pages : sequence of ndarray of uint8, shape (rows, columns, 3)
        RGB.
    study_instance_uid : str
        The study they belong to.
    envelope : Envelope
        The same, with its patient.
    quotes : bool
        Whether pages quote the header. What people typed there may be a name: such pages are
        marked as holding burned in annotation, and de-identifying refuses them.
    """
    return [
        _capture(page, envelope, (number, study_instance_uid), "YES" if quotes else "NO")
        for number, page in enumerate(pages, 1)
    ]


def _capture(
    page: Picture, envelope: Envelope, place: tuple[int, str], burned_in: str
) -> DicomObject:
    number, study_instance_uid = place
    dataset = SCImage(
        pixel_array=page,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=study_instance_uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **envelope.series(_KIND, number),
    )
    # The page as a whole has no orientation (PS3.3 C.7.6.1.1.1): the attribute is there and empty.
    dataset.add_new("PatientOrientation", "CS", None)
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = burned_in
    dataset.LossyImageCompression = "00"
    return envelope.seal(dataset, _KIND, f"capture-{number}.dcm")
