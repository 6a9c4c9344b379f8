"""Addresses and what they answer."""
