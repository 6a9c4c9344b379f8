"""How good a bundle is: the statistics, and running a bundle over a cohort."""
