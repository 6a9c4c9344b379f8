"""Stages two and three: the slice encoder and the sequence head (paper section 2.3)."""
