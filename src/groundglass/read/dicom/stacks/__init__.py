"""Frames of one patient, one pass and one whole, on a regular grid."""
