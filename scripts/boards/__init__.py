"""Grafana's dashboards, described in Python and written as JSON: ``python scripts/boards``."""
