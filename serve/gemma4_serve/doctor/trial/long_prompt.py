"""A check of prompts that are longer than the sliding window, and of the speed of reading them."""

from __future__ import annotations

import time

from gemma4_client import Answer, Client

from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial.trial import REQUEST_S, TEXT, Trial, common

__all__ = ["long_prompt"]

_NAME = "long prompt"
_MOST = 20_000
"""Tokens of the long prompt: more than TensorRT-LLM computes in one step, which is 8,192."""
_MOST_S = 40.0
"""Seconds that reading the long prompt may take, judged by the short one."""
_ANSWER = 24
"""Tokens of the answers."""
_SAME = 8
"""Tokens of the answers that have to be equal. Then the text has gone on for most of a sentence."""


def long_prompt(trial: Trial) -> Result:
    """Check that a text that repeats one sentence goes on in the same way when it is longer than
    the sliding window, as it does within it. A model that does not go on with it shows nothing."""
    limits, window = trial.manifest.limits, trial.manifest.model.sliding_window
    client = trial.client()
    per_repeat = _prompt_tokens(client, 4) - _prompt_tokens(client, 3)
    few = max(4, window // 2 // per_repeat)
    began = time.monotonic()
    short = _answer(client, few)
    pace = short.prompt_tokens / (time.monotonic() - began)
    room = min(limits.max_prompt_tokens, limits.max_total_tokens - _ANSWER) - 2 * per_repeat
    most = min(room, _MOST, int(pace * _MOST_S))
    if most <= window:
        return Result(
            _NAME, "info",
            f"not tried: {most} tokens are the most here (limit {room}, {pace:.0f} tokens/s), the "
            f"sliding window is {window}",
        )  # fmt: skip
    began = time.monotonic()
    long = _answer(client, most // per_repeat)
    spent = time.monotonic() - began
    said = (
        f"{long.prompt_tokens} tokens, window {window}: {_ANSWER} tokens after {spent:.2f} s; "
        f"{common(long.ids, short.ids)} of them as after {short.prompt_tokens} tokens"
    )
    figures = {
        "prompt_tokens": long.prompt_tokens, "seconds": spent, "short_tokens": short.prompt_tokens,
        "equal": common(long.ids, short.ids),
    }  # fmt: skip
    if not goes_on(short.text):
        return Result(
            _NAME, "info", f"{said}; the model does not go on with the text: proves nothing",
            figures=figures,
        )  # fmt: skip
    fine = common(long.ids, short.ids) >= _SAME
    return Result(
        _NAME, "ok" if fine else "fail", said,
        "" if fine else f"at least {_SAME} are wanted: attention beyond the window, or prompts in "
        "several steps, are computed wrongly",
        figures,
    )  # fmt: skip


def goes_on(text: str) -> bool:
    """Say whether an answer is the sentence again."""
    words = TEXT.split()
    return text.split()[: len(words) // 2] == words[: len(words) // 2]


def _answer(client: Client, repeats: int, tokens: int = _ANSWER) -> Answer:
    return client.generate(
        (TEXT * repeats).rstrip(), max_tokens=tokens, temperature=0.0, timeout=REQUEST_S
    ).result()


def _prompt_tokens(client: Client, repeats: int) -> int:
    return _answer(client, repeats, 1).prompt_tokens
