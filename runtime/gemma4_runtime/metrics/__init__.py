"""Metrics of the server: counted in Python, published by Triton's own endpoint."""
