"""Spans for an OpenTelemetry collector, where the environment asks for them."""
