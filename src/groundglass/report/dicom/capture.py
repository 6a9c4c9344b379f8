"""Pages as DICOM Secondary Capture images (PS3.3 A.8): what every viewer shows."""

from __future__ import annotations

from groundglass.report.dicom.capture_pages import Picture
from groundglass.report.dicom.encoding import PIXEL_DATA, element
from groundglass.report.dicom.result_builder import DicomObject, ResultBuilder
from groundglass.report.dicom.result_uids import ResultKind

_KIND = ResultKind.CAPTURE


def capture(
    page: Picture, builder: ResultBuilder, number: int, *, quotes: bool = False
) -> DicomObject:
    """A page as an image. Uncompressed: some viewers of secondary captures read nothing else.

    Parameters
    ----------
    page : ndarray of uint8, shape (rows, columns, 3)
        RGB.
    number : int
        Instance Number, and in the file's name.
    quotes : bool
        Whether the page quotes the header. What people typed there may be a name: such pages are
        marked as holding burned in annotation, and de-identifying refuses them.
    """
    dataset = builder.create(_KIND, number)
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.ConversionType = "WSD"
    # The page as a whole has no orientation (PS3.3 C.7.6.1.1.1): the attribute is there and empty.
    dataset.PatientOrientation = None
    dataset.BurnedInAnnotation = "YES" if quotes else "NO"
    dataset.LossyImageCompression = "00"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = page.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    pixels = {PIXEL_DATA: element(PIXEL_DATA, b"OB", page.tobytes())}
    return builder.finalize(dataset, _KIND, pixels)
