"""One request: from ``SamplingParams`` to the decoder's words, and its tokens back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gemma4_runtime.engines.base import EngineFinish
from gemma4_runtime.errors import RequestError as DecoderError
from gemma4_runtime.messages import GenerationRequest, GuidedDecoding, TopLogProbs
from gemma4_runtime.messages import SamplingParams as DecoderParams

from tensorrt_llm.executor import RequestError
from tensorrt_llm.outputs import RequestOutput, Response
from tensorrt_llm.sampling_params import GuidedDecodingParams, SamplingParams
from tensorrt_llm.structural_tags import read_structural_tag

if TYPE_CHECKING:
    from tensorrt_llm.llm import LLM


def to_request(
    key: str,
    ids: list[int],
    params: SamplingParams,
    *,
    seed: int,
    args: dict[str, Any],
    vocab_size: int,
) -> GenerationRequest:
    """``seed`` is what the sampler makes of the request's own. Raises :class:`RequestError` for
    what the executor refuses."""
    room = (args["max_seq_len"] or 0) - len(ids)
    if not ids or room < 1:
        raise RequestError(
            f"prompt length ({len(ids)}) must be positive and below max_seq_len "
            f"({args['max_seq_len']})"
        )
    if not all(0 <= token < vocab_size for token in ids):
        raise RequestError(f"a token id is out of range (vocabulary of {vocab_size})")
    _check_speculation(params, args["speculative_config"])
    stops = list(params.stop_token_ids or ())
    min_tokens = params.min_tokens or 0
    if min_tokens and stops:
        min_tokens = 0  # stop_token_ids have precedence (TensorRT-LLM #4776)
    if not params.ignore_eos and params.end_id >= 0:
        stops.append(params.end_id)
    guided, prelude = _guide(params.guided_decoding, args), None
    if params.guided_decoding is not None and params.guided_decoding.structural_tag is not None:
        guided, prelude = read_structural_tag(params.guided_decoding.structural_tag)
    return GenerationRequest(
        key=key,
        input_ids=list(ids),
        sampling=DecoderParams(
            max_tokens=min(params.max_tokens, room),
            min_tokens=min(min_tokens, room),
            temperature=0.0 if params.greedy else _or(params.temperature, 1.0),
            top_k=params.top_k or 0,
            top_p=_or(params.top_p, 1.0),
            min_p=params.min_p or 0.0,
            repetition_penalty=_or(params.repetition_penalty, 1.0),
            presence_penalty=params.presence_penalty or 0.0,
            frequency_penalty=params.frequency_penalty or 0.0,
            seed=seed,
            stop_token_ids=tuple(dict.fromkeys(stops)),
            bad_token_ids=tuple(params.bad_token_ids or ()),
            logit_bias=_logit_bias(params.embedding_bias, vocab_size),
            log_probs=params.logprobs is not None,
            top_log_probs=params.logprobs or 0,
            guided=guided,
            prelude=prelude,
        ),
    )


def _logit_bias(bias: Any, vocab_size: int) -> tuple[tuple[int, float], ...]:
    """What a tensor of torch adds to which logits: the sampler adds row to row."""
    if bias is None:
        return ()
    if str(bias.dtype) != "torch.float32" or tuple(bias.shape) != (vocab_size,):
        raise RequestError(
            f"embedding_bias must be float32 of shape [{vocab_size}], not {bias.dtype} of shape "
            f"{list(bias.shape)}"
        )
    return tuple((token, float(bias[token])) for token in bias.nonzero().flatten().tolist())


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _check_speculation(params: SamplingParams, config: dict[str, Any] | None) -> None:
    if config is None:
        return
    penal = params.repetition_penalty or params.presence_penalty or params.frequency_penalty
    if penal and not config["enable_penalty"]:
        raise RequestError("penalties need speculative_config.enable_penalty")


def _guide(guide: GuidedDecodingParams | None, args: dict[str, Any]) -> GuidedDecoding | None:
    if guide is None:
        return None
    if guide.structural_tag is not None and args["guided_decoding_backend"] != "xgrammar":
        raise RequestError("structural tags need guided_decoding_backend xgrammar")
    if args["guided_decoding_backend"] is None:
        raise RequestError("guided decoding is not enabled; set guided_decoding_backend")
    if guide.structural_tag is not None:
        return None
    if guide.json_object:
        return GuidedDecoding("json")
    if guide.json is not None:
        text = guide.json if isinstance(guide.json, str) else json.dumps(guide.json)
        return GuidedDecoding("json_schema", text)
    if guide.regex is not None:
        return GuidedDecoding("regex", guide.regex)
    if guide.grammar is not None:
        return GuidedDecoding("grammar", guide.grammar)
    raise AssertionError("no guide")


class Stream:
    """Sink of the decoder. Responses leave every ``interval`` tokens (None: only at the end), the
    first at once."""

    def __init__(
        self,
        llm: LLM,
        key: str,
        output: RequestOutput,
        params: SamplingParams,
        *,
        interval: int | None,
    ) -> None:
        self._llm, self._key, self._output, self._params = llm, key, output, params
        self._interval = interval
        self._stops = set(params.stop_token_ids or ())
        self._all_stops = self._stops | (set() if params.ignore_eos else {params.end_id})
        self._ids: list[int] = []
        self._log_probs: list[float] = []
        self._top: list[TopLogProbs] = []
        self._generated = 0
        self._over = False

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        if self._over:
            return
        end = next((i + 1 for i, token in enumerate(ids) if token in self._all_stops), len(ids))
        first = not self._generated
        self._ids += ids[:end]
        self._log_probs += (log_probs or [])[:end]
        self._top += (top or [])[:end]
        self._generated += end
        if self._llm.drafted is not None:
            self._llm.drafted.generated(end - first)
        tokens = len(self._output.prompt_token_ids) + self._generated
        error = self._llm.grow(self._key, tokens) or self._llm.commit_fault(self._generated)
        if error is not None:
            self.die(error)
            self._leave()
        elif ids[end - 1] in self._all_stops:
            self._stop(ids[end - 1])
        elif self._interval is not None and (first or len(self._ids) >= self._interval):
            self._flush()

    def _stop(self, token: int) -> None:
        """llama.cpp knows only the end tokens of its file, so the double stops here."""
        self._over = True
        self._flush("stop", token if token in self._stops else None)
        self._leave()

    def _leave(self) -> None:
        self._llm.forget(self._key)
        self._output.free()

    def _flush(self, finish: str | None = None, stopped_by: int | None = None) -> None:
        ids, self._ids = self._ids, []
        log_probs, self._log_probs = self._log_probs, []
        top, self._top = self._top, []
        self._output.put(Response(ids, log_probs, finish, stopped_by, top))

    def finished(self, finish: EngineFinish) -> None:
        self._llm.forget(self._key)
        if self._over:
            return
        self._over = True
        if finish.reason == "stop":
            self._output.put(RequestError("the double ended at an end token that was no stop"))
        else:
            self._flush(finish.reason)

    def failed(self, error: DecoderError) -> None:
        self._llm.forget(self._key)
        if not self._over:
            self._over = True
            self._output.put(RequestError(error.message))

    def die(self, error: Exception | None) -> None:
        """End with ``error``; None: never say anything again."""
        self._over = True
        if error is not None:
            self._output.put(error)
