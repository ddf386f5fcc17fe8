# Made by scripts/unasync.py from _async/__init__.py: edit that file instead.
"""The blocking client, made from :mod:`gemma4_client._sync`."""
