"""The job table: studies on their way through the node."""
