"""Responses that are kept: optional, and never in the way of an answer."""
