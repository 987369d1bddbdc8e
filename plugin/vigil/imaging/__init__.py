"""Pixels to a volume in patient space."""
