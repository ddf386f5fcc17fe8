"""Virtual time: what each one has had, by weight. Pure.

Start-time fair queueing (Goyal, Vin, Cheng 1996) over tokens, with the corrections of a virtual
token counter (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024): a request is
charged at its start with what it is expected to cost, and what it did cost is settled at its end.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Account", "Shares"]


@dataclass(slots=True, eq=False)
class Account:
    """``counter`` is in tokens by weight. ``visit`` counts how often it came while it did not wait.
    ``slack``: how far the counter was ahead at that moment, which is all that a charge from before
    it may get back."""

    weight: float
    counter: float = 0.0
    visit: int = 0
    slack: float = 0.0


class Shares:
    """Accounts that share one resource. The one with the least counter is next. ``now`` is the
    counter with which the last one started; it never goes back."""

    def __init__(self) -> None:
        self.now = 0.0

    def arrive(self, account: Account) -> None:
        """Let one take part that had nothing to wait for: it has built no credit meanwhile."""
        account.slack = max(0.0, account.counter - self.now)
        account.counter = max(account.counter, self.now)
        account.visit += 1

    def start(self, account: Account, tokens: float) -> int:
        """Charge ``tokens``; return the visit, for :meth:`correct`."""
        self.now = max(self.now, account.counter)
        account.counter += tokens / account.weight
        return account.visit

    def correct(self, account: Account, tokens: float, visit: int) -> None:
        """Charge ``tokens`` more than at the start of ``visit``, or give them back. What an idle
        time has wiped out is not given back again."""
        change = tokens / account.weight
        if change < 0 and visit != account.visit:
            change = -min(-change, account.slack)
            account.slack += change
        account.counter += change
