"""A request in the words of llama.cpp's server. Every sampling field is set: the server's own
defaults (min_p 0.05, a 64-token penalty window, ...) are not Gemma's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemma4_runtime.engines.seeds import call_seed
from gemma4_runtime.messages import GenerationRequest

__all__ = ["payload"]

_SEEDS = 2**32 - 1
"""llama.cpp's seed is a uint32 whose largest value means "random"."""


def payload(
    request: GenerationRequest,
    *,
    answer: list[int],
    max_tokens: int,
    banned: tuple[int, ...],
    bias: Mapping[int, float],
    grammar: str | None,
    window: int,
    check_slot: int = -1,
) -> dict[str, Any]:
    """Return the JSON body of a completion that goes on after the ids ``answer``. ``banned`` are
    ids with no chance, ``bias`` is added to logits; ``grammar`` is a guide that llguidance has
    taken; ``window`` is how many tokens the penalties look back on, prompt included. The quality
    gate computes its prompts anew, in the slot that ``check_slot`` names, and leaves the prompts
    that the other slots remember alone."""
    sampling = request.sampling
    biases: dict[int, float | bool] = dict(bias)
    for token, amount in sampling.logit_bias:
        biases[token] = bias.get(token, 0.0) + amount
    biases |= dict.fromkeys((*banned, *sampling.bad_token_ids), False)
    body: dict[str, Any] = {
        "prompt": request.input_ids + answer,
        "stream": True,
        "verbose": True,  # adds __verbose.tokens, the sampled ids, to each event
        "return_progress": True,  # events during prefill, where a cancel can be seen
        "cache_prompt": not request.check,
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
        "seed": -1
        if sampling.seed is None
        else call_seed(sampling.seed, len(answer), limit=_SEEDS),
    }
    if request.check:
        body["id_slot"] = check_slot
    if sampling.log_probs:
        body["n_probs"] = max(1, sampling.top_log_probs)
    if grammar is not None:
        body["grammar"] = grammar
    if biases:
        body["logit_bias"] = [[token, value] for token, value in biases.items()]
    return body
