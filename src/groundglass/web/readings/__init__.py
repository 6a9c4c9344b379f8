"""What readers say of verdicts, and how often they agree."""
