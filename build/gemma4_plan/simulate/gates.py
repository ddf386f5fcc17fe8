"""What a gateway refuses before it looks for a replica, as :mod:`gemma4_gateway.limits` does."""

from __future__ import annotations

from gemma4_gateway.bucket import Bucket

from gemma4_plan.simulate.fleet import Gateway

__all__ = ["Gate"]


class _Usage:
    """Of one key."""

    __slots__ = ("requests", "running", "tokens")

    def __init__(self, options: Gateway, now: float) -> None:
        self.running = 0
        requests, tokens = options.requests_per_minute, options.tokens_per_minute
        self.requests = Bucket(requests, now) if requests else None
        self.tokens = Bucket(tokens, now) if tokens else None


class Gate:
    """One gateway's: ``most`` requests at once, and the limits of each key."""

    def __init__(self, options: Gateway, most: float) -> None:
        self.running = 0
        self._most = most
        self._options = options
        self._limited = bool(
            options.key_running or options.requests_per_minute or options.tokens_per_minute
        )
        self._keys: dict[int, _Usage] = {}

    def enter(self, key: int, now: float) -> str:
        """Enter a request; return why it is refused, "" when it is not."""
        if self.running >= self._most:
            return "gateway_full"
        if self._limited:
            usage = self._keys.get(key)
            if usage is None:
                usage = self._keys[key] = _Usage(self._options, now)
            if self._options.key_running and usage.running >= self._options.key_running:
                return "max_running"
            if usage.requests is not None and usage.requests.wait(now):
                return "requests_per_minute"
            if usage.tokens is not None and usage.tokens.wait(now):
                return "tokens_per_minute"
            if usage.requests is not None:
                usage.requests.spend(1)
            usage.running += 1
        self.running += 1
        return ""

    def leave(self, key: int, now: float, *, tokens: int) -> None:
        """Leave with the tokens of prompt and answer that were used."""
        self.running -= 1
        if self._limited:
            usage = self._keys[key]
            usage.running -= 1
            if usage.tokens is not None:
                usage.tokens.wait(now)
                usage.tokens.spend(tokens)
