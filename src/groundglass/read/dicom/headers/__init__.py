"""Headers of DICOM files: bytes → data sets → what is kept of them, typed."""
