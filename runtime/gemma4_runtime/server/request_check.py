"""The last look at a request before it reaches the engine.

Preprocessing has checked it already, and the seal says that it did. This is for the day when
either has a mistake: llama.cpp and TensorRT-LLM read their tables by token id without a look, so
that an id beyond the vocabulary reads foreign memory or ends the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from gemma4_runtime.contract.inputs import INPUT, SAMPLING
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.limits import MOST_BIAS
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.trace_context import read_trace, trace_fields

__all__ = ["RequestCheck"]

_MAX_TEXT = 2**20
"""Characters of an id or a guide, beyond what preprocessing takes."""
_MAX_WORDS = 4096
"""Stop or bad words, and tools, beyond what preprocessing takes."""
_MAX_ANSWERS = 4096
"""Prompts of a call, or answers to one of them, beyond what any step takes."""
_RANGES = tuple(
    (option.name, option.param, *option.bounds, option.default is None) for option in SAMPLING
)
"""Input, field, least and greatest value of each sampling option; whether None draws one."""


class RequestCheck:
    """Against what the loaded engine holds. Thread-safe; about 20 us for 1,000 prompt tokens."""

    def __init__(self, info: EngineInfo) -> None:
        self._vocab_size = info.vocab_size
        self._max_total = info.max_total_tokens

    def check(self, request: GenerationRequest) -> None:
        """Check ``request``. Raises :class:`~gemma4_runtime.errors.RequestError` INTERNAL, which
        names what is out of range: it is this server that made the request."""
        for name, fine in self._facts(request):
            if not fine:
                raise RequestError(
                    Code.SERVER_FAILED,
                    f"{name} of the prepared request is out of this engine's range",
                )

    def _facts(self, request: GenerationRequest) -> Iterator[tuple[str, bool]]:
        sampling = request.sampling
        prompt = len(request.input_ids)
        yield "key", 1 <= len(request.key) <= 64
        yield "request_id", len(request.request_id) <= _MAX_TEXT
        yield "input_ids", prompt > 0 and self._in_vocabulary(request.input_ids)
        yield "max_tokens", 1 <= sampling.max_tokens <= self._max_total - prompt
        yield "min_tokens", 0 <= sampling.min_tokens <= sampling.max_tokens
        yield "stop_token_ids", self._in_vocabulary(sampling.stop_token_ids)
        yield "named_stop_ids", set(sampling.named_stop_ids) <= set(sampling.stop_token_ids)
        yield "bad_token_ids", self._in_vocabulary(sampling.bad_token_ids)
        yield (
            "bad_sequences",
            len(sampling.bad_sequences) <= _MAX_WORDS
            and all(ids and self._in_vocabulary(ids) for ids in sampling.bad_sequences),
        )
        yield (
            "logit_bias",
            self._in_vocabulary([token for token, _ in sampling.logit_bias])
            and len(sampling.logit_bias) <= _MAX_WORDS
            and all(-MOST_BIAS <= amount <= MOST_BIAS for _, amount in sampling.logit_bias),
        )
        yield "deadline", request.deadline is None or math.isfinite(request.deadline)
        yield "arrival", math.isfinite(request.arrival)
        yield "trace", read_trace(trace_fields(request.trace)) == request.trace
        yield "place", all(0 <= number < _MAX_ANSWERS for number in request.place)
        yield from _sampling_facts(sampling)

    def _in_vocabulary(self, ids: list[int] | tuple[int, ...]) -> bool:
        return not ids or (min(ids) >= 0 and max(ids) < self._vocab_size)


def _sampling_facts(sampling: SamplingParams) -> Iterator[tuple[str, bool]]:
    """Comparisons are false for NaN."""
    for option, field, least, most, random in _RANGES:
        value = getattr(sampling, field)
        yield option, random if value is None else least <= value <= most
    yield "top_log_probs", 0 <= sampling.top_log_probs <= INPUT["top_logprobs"].bounds[1]
    yield "stop", len(sampling.stop) <= _MAX_WORDS and all(sampling.stop)
    yield "prelude", sampling.prelude is None or len(sampling.prelude.tools) <= _MAX_WORDS
    yield "guided", sampling.guided is None or len(sampling.guided.guide) <= _MAX_TEXT
