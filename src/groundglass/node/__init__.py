"""The hospital node: studies in from the PACS, results back into it, nothing lost."""
