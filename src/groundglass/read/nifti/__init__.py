"""NIfTI-1 and -2."""
