"""Results on their way to where they are wanted."""
