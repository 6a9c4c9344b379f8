"""The list of studies: what is told of each, and which one needs eyes first."""
