"""The radiologist's page and the API behind it, in the node's process."""
