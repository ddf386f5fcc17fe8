"""Bounds of the numbers that ``gemma4 plan`` takes. Beyond them no plan means anything, and a
simulation would not end."""

from __future__ import annotations

__all__ = [
    "LEAST", "MOST_EVERY_S", "MOST_GATEWAYS", "MOST_GPUS", "MOST_MS", "MOST_PEAK", "MOST_RATE",
    "MOST_REPLICAS", "MOST_SECONDS", "MOST_TIMES", "MOST_TOKENS", "MOST_USD", "MOST_USERS",
]  # fmt: skip

LEAST = 0.001
"""Of what must be above 0: milliseconds, dollars, requests/s, times."""
MOST_MS = 3_600_000
"""Milliseconds of an SLO: an hour."""
MOST_RATE = 1_000_000
"""Requests/s."""
MOST_USERS = 10_000_000
"""People who ask."""
MOST_EVERY_S = 86_400
"""Seconds between two questions of a person."""
MOST_SECONDS = 31_536_000
"""Seconds of simulated time: a year."""
MOST_PEAK = 20
"""Times that the busiest minute has of the mean (gemma4_plan.simulate.traffic)."""
MOST_TIMES = 1_000_000
"""Times that a trace is replayed faster."""
MOST_USD = 100_000
"""Dollars for a GPU and hour."""
MOST_GATEWAYS = MOST_REPLICAS = 100_000
"""Gateways, and replicas of the model."""
MOST_GPUS = 1_000_000
"""GPUs that there are."""
MOST_TOKENS = 262_143
"""Tokens of a prompt that leave room for an answer in the context of the model."""
