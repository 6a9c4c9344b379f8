"""Stacks of PNG, JPEG and TIFF images."""
