"""Instances and studies on their way in."""
