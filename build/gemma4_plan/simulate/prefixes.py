"""Beginnings of prompts that a replica remembers."""

from __future__ import annotations

from collections import OrderedDict

from gemma4_plan.simulate.request import Block

__all__ = ["Prefixes"]


class Prefixes:
    """Up to ``room`` tokens of them; the least recently used go first."""

    __slots__ = ("_kept", "_room", "_tokens")

    def __init__(self, room: int) -> None:
        self._room = room
        self._tokens = 0
        self._kept: OrderedDict[int, int] = OrderedDict()

    def match(self, blocks: tuple[Block, ...]) -> int:
        """Return the tokens of the leading blocks that are here."""
        found = 0
        for name, tokens in blocks:
            if name not in self._kept:
                break
            self._kept.move_to_end(name)
            found += tokens
        return found

    def keep(self, blocks: tuple[Block, ...]) -> None:
        """Remember the blocks of a prompt that was read."""
        if not self._room:
            return
        for name, tokens in blocks:
            if name in self._kept:
                continue
            self._kept[name] = tokens
            self._tokens += tokens
        while self._tokens > self._room:
            _, tokens = self._kept.popitem(last=False)
            self._tokens -= tokens

    def clear(self) -> None:
        """Forget them all."""
        self._kept.clear()
        self._tokens = 0
