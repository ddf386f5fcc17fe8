"""Dashboards against a real Prometheus, and drawn. `tests/dashboards` runs it."""
