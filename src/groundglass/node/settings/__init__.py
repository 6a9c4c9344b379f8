"""All settings of a node, and the file they come from."""
