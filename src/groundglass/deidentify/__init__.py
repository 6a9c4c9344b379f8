"""De-identification (PS3.15 annex E)."""
