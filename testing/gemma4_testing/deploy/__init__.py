"""Compose files and the rendered chart, as tests read them."""
