"""Encrypted connections of the gateway's clients."""
