"""One request on its way through the simulation."""

from __future__ import annotations

import math

from gemma4_plan.simulate.agenda import Actor

__all__ = ["Block", "Request"]

Block = tuple[int, int]
"""A piece of a prompt that others may begin with too: its name, and its tokens."""


class Request:
    """Times are seconds of the simulation; ``came`` is when it was at the engine. ``left`` are
    tokens of the prompt that are not read yet and ``finish`` the step that gives the last token,
    both the engine's own. ``measured``: it came after the warm-up. ``user``: who waits for the end,
    in a closed loop."""

    __slots__ = (
        "arrived", "blocks", "cached", "came", "end", "finish", "first", "gateway", "key", "left",
        "measured", "output", "prompt", "replica", "started", "user",
    )  # fmt: skip

    def __init__(
        self, arrived: float, prompt: int, output: int, *, measured: bool, blocks: tuple[Block, ...]
    ) -> None:
        self.arrived = arrived
        self.prompt = prompt
        self.output = output
        self.blocks = blocks
        self.measured = measured
        self.user: Actor | None = None
        self.gateway = self.key = self.replica = 0
        self.cached = self.left = self.finish = 0
        self.came = self.started = self.first = self.end = math.nan
