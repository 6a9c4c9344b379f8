"""One training with Lightning, whichever network it is."""
