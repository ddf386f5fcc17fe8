"""Writes into files what is made of :mod:`gemma4_runtime.contract`: ``make generate``."""
