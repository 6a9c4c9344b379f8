"""Running a bundle over a cohort: predictions, figures with intervals, probes."""
