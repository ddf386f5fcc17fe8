"""Checks of how requests are served: pace, cancel, overload, drain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from gemma4_client import Client
from gemma4_runtime.server.board import Field

from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial.trial import REQUEST_S, TEXT, Trial

__all__ = ["cancel", "drain", "overload", "pace"]

_CANCEL_S = 0.5
"""A cancel has to free its slot within this time (docs/guarantees.md)."""
_PACE_TOKENS = 64
"""Tokens of an answer whose pace is measured."""
_PACE_S = 60.0
"""Seconds after which no larger batch is begun."""


def pace(trial: Trial) -> Result:
    """Measure TTFT and tokens/s of batches of 1, 2, 4, ... up to the slots."""
    began, slots = time.monotonic(), trial.manifest.limits.slots
    sizes = sorted({*(1 << i for i in range(slots.bit_length()) if 1 << i <= slots), slots})
    client = trial.client()
    first, single = _stream(client, "0 ")
    rates, times = {1: single}, {1: first}
    skipped: list[int] = []
    for size in sizes[1:]:
        if time.monotonic() - began > _PACE_S:
            skipped.append(size)
            continue
        rates[size], times[size] = _batch(client, size)
    built = trial.manifest.warm
    figures = {
        "ttft_s": times[1], "tokens_per_s": rates[1],
        "batches": {str(n): {"tokens_per_s": rates[n], "worst_ttft_s": times[n]} for n in rates},
        "left_out": skipped, "at_build": None if built is None else built.model_dump(mode="json"),
    }  # fmt: skip
    most = max(rates)
    return Result(
        "pace", "ok",
        f"one stream: first token after {times[1] * 1000:.0f} ms, {rates[1]:.0f} tokens/s; "
        f"{most} at once: {rates[most]:.0f} tokens/s, all first tokens after "
        f"{times[most] * 1000:.0f} ms"
        + (f"; left out after {_PACE_S:.0f} s: {_names(skipped)} at once" if skipped else ""),
        figures=figures,
    )  # fmt: skip


def _names(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))


def _stream(client: Client, start: str) -> tuple[float, float]:
    """Return seconds to the first token and tokens/s after it."""
    began, first, count = time.monotonic(), 0.0, 0
    for delta in client.generate(
        start + TEXT * 4, max_tokens=_PACE_TOKENS, min_tokens=_PACE_TOKENS, temperature=0.0,
        timeout=REQUEST_S,
    ):  # fmt: skip
        first = first or time.monotonic() - began
        count += len(delta.ids)
    spent = time.monotonic() - began - first
    return first, (count - 1) / spent if spent > 0 else 0.0


def _batch(client: Client, size: int) -> tuple[float, float]:
    """Return tokens/s of all streams together, prefill included, and the longest wait for a first
    token in seconds."""
    began = time.monotonic()
    with ThreadPoolExecutor(size) as pool:
        found = list(pool.map(lambda i: _stream(client, f"{i} ")[0], range(size)))
    return size * _PACE_TOKENS / (time.monotonic() - began), max(found)


def cancel(trial: Trial) -> Result:
    """Check that a client that leaves frees its slot in time."""
    stream = trial.running_stream(trial.client())
    next(iter(stream))
    stream.cancel()
    spent = trial.server.wait_idle()
    fine = spent <= _CANCEL_S
    return Result(
        "cancel", "ok" if fine else "fail", f"slot free after {spent:.2f} s",
        "" if fine else f"the limit is {_CANCEL_S} s", {"seconds": spent},
    )  # fmt: skip


def overload(trial: Trial) -> Result:
    """Check that beyond slots and queue there is UNAVAILABLE at once, and everybody else is
    served."""
    room, tokens = trial.room, min(trial.long, 128)
    client = trial.impatient()
    with ThreadPoolExecutor(room + 4) as pool:
        answers = list(
            pool.map(lambda i: trial.outcome(client, f"{i} {TEXT}", tokens), range(room + 4))
        )
    trial.server.wait_idle()
    served, refused = answers.count("served"), answers.count("refused")
    fine = served >= room and served + refused == len(answers) and refused > 0
    return Result(
        "overload", "ok" if fine else "fail",
        f"{len(answers)} at once with room for {room}: {served} served, {refused} refused",
        "" if fine else f"others: {sorted(set(answers) - {'served', 'refused'})}",
        {"room": room, "served": served, "refused": refused},
    )  # fmt: skip


def drain(trial: Trial) -> Result:
    """Check that running answers finish, new ones are refused, and the server ends with status 0.
    The server is gone afterward."""
    server, client = trial.server, trial.impatient()
    chunks = iter(trial.running_stream(client))
    tokens = len(next(chunks).ids)
    began = time.monotonic()
    server.terminate()
    server.wait(lambda: bool(server.read(Field.DRAINING)), 10, "draining")
    late = trial.outcome(trial.impatient(), TEXT, 1)
    tokens += sum(len(delta.ids) for delta in chunks)
    status = server.exit_status(60)
    spent = time.monotonic() - began
    fine = late == "refused" and tokens == trial.long and status == 0
    return Result(
        "drain", "ok" if fine else "fail",
        f"the running answer gave {tokens} of {trial.long} tokens, a new request was {late}, the "
        f"server ended after {spent:.1f} s with status {status}",
        figures={"seconds": spent, "status": status},
    )  # fmt: skip
