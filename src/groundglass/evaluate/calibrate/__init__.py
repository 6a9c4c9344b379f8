"""Thresholds fitted on a site's own cases, as a new bundle."""
