"""Pixel Data: from a file's bytes to stored values."""
