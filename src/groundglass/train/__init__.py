"""Training: the only place that knows a deep-learning framework. Ends in a bundle."""
