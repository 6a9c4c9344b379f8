"""A study from its files to its report: the use cases that commands and the node share."""
