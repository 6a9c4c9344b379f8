"""Benchmarks: what is timed, against whom, in one run."""
