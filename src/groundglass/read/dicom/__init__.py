"""DICOM: headers, frames, and what belongs together."""
