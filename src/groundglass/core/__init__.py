"""The nouns: geometry, volume, study and result. Numpy only; reads and writes nothing."""
