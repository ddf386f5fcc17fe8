"""Limits of keys that several gateways share, in Redis."""
