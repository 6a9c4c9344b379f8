"""From scores of single slices to a verdict on a study: its thresholds, fitted on whole volumes."""
