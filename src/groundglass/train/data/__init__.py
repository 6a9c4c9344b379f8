"""From the cohort's cases to the slices that training sees."""
