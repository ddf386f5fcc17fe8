"""A request in the words of llama.cpp's server. Every sampling field is set: the server's own
defaults (min_p 0.05, a 64-token penalty window, ...) are not Gemma's."""

from __future__ import annotations

from typing import Any

from gemma4_runtime.engines.guides import llguidance_grammar
from gemma4_runtime.engines.turn_grammar import TurnTokens, turn_grammar
from gemma4_runtime.messages import GenerationRequest

__all__ = ["payload"]

_SEEDS = 2**32 - 1
"""llama.cpp's seed is a uint32 whose largest value means "random"."""


def payload(
    request: GenerationRequest,
    *,
    prompt: list[int],
    max_tokens: int,
    banned: tuple[int, ...],
    byte_ids: frozenset[int],
    turn_tokens: TurnTokens,
    window: int,
) -> dict[str, Any]:
    """JSON body of a completion. ``banned`` are ids with no chance; ``window`` is how many tokens
    the penalties look back on, prompt included: llama.cpp counts the prompt in all three."""
    sampling = request.sampling
    bias = dict.fromkeys((*banned, *sampling.bad_token_ids), False)
    body: dict[str, Any] = {
        "prompt": prompt,
        "stream": True,
        "verbose": True,  # adds __verbose.tokens, the sampled ids, to each event
        "return_progress": True,  # events during prefill, where a cancel can be seen
        "cache_prompt": True,
        "n_predict": max_tokens,
        # Temperature first, as transformers and vLLM order it.
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_last_n": window,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": -1 if sampling.seed is None else sampling.seed % _SEEDS,
    }
    if sampling.log_probs:
        body["n_probs"] = 1
    if sampling.guided is not None:
        # llama.cpp would only log a grammar that it cannot use, and generate without it.
        body["grammar"] = llguidance_grammar(sampling.guided)
        if sampling.prelude is not None:
            body["grammar"] = turn_grammar(body["grammar"], sampling.prelude, turn_tokens)
        # Our GGUF stores byte tokens as literal text, which a grammar would take at its word.
        bias |= dict.fromkeys(byte_ids, False)
    if bias:
        body["logit_bias"] = [[token, value] for token, value in bias.items()]
    return body
