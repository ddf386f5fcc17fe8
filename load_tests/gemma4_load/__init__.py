"""Load tests: what a user of the server feels, measured. ``gemma4 load``, and users for locust."""
