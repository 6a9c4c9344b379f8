"""Results as DICOM objects in the study they came from (PS3.3)."""
