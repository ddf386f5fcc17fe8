"""Sending requests on a plan."""
