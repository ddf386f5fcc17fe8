"""Lets a server send its histograms as much more often as the rules of alerts are made faster. For
the servers of scenes alone: Python imports this first where this folder is in PYTHONPATH."""

from __future__ import annotations

from gemma4_runtime.metrics import publisher

publisher.HISTOGRAMS_EVERY = 1
