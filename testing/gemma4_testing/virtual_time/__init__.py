"""Engines under ``gemma4 load`` on a clock of their own: no run of it depends on the machine."""
