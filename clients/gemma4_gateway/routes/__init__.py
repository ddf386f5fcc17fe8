"""The paths."""
