"""A request as Dynamo's frontend prepared it, as options of the SDK.

Every field is honored, belongs to Dynamo itself, or is refused by its name; one that is not known
here is refused too, so that an option of a later Dynamo is not dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gemma4_client import AsyncClient, AsyncStream, Delta, InvalidRequestError

from gemma4_dynamo.answer import CANCELLED, chunk_of, nothing_left
from gemma4_dynamo.guides import guide_options
from gemma4_dynamo.refused import RefusedError
from gemma4_dynamo.token_texts import TokenTexts
from gemma4_dynamo.values import integer, integers, part, short

__all__ = ["EngineRequest", "read_request"]

_DYNAMOS = frozenset(
    {
        "agent_context",
        "annotations",
        "eos_token_ids",
        "extra_args",
        "kv_hint",
        "mdc_sum",
        "migration_link",
        "migration_state",
        "mm_routing_info",
        "model",
        "output_options",
        "request_timestamp_ms",
        "require_reasoning",
        "router",
        "router_config_override",
        "routing",
        "sampling_options",
        "stop_conditions",
        "token_ids",
        "tracker",
        "_HEALTH_CHECK",
    }
)
"""Fields that are read here, or that say something to Dynamo's own parts. ``require_reasoning``:
the engine sees in the prompt whether a thought may come before a guided answer. ``kv_hint``: where
blocks of the prompt may be, which changes no answer. ``_HEALTH_CHECK``: it is answered like any
other request."""

_PASSED_ON = (
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "temperature",
    "top_p",
    "min_p",
    "include_stop_str_in_output",
)
_SAMPLING = frozenset({*_PASSED_ON, "top_k", "seed", "guided_decoding", "detokenize"})
"""``detokenize``: this worker sends token ids only."""
_STOP_IDS = ("stop_token_ids", "stop_token_ids_visible", "stop_token_ids_hidden")
"""They end the answer alike; whether they are shown is the frontend's business."""
_STOP = frozenset({"max_tokens", "min_tokens", "stop", "ignore_eos", *_STOP_IDS})
_OUTPUT = frozenset(
    {
        "logprobs",
        "no_stop_trim",
        "skip_special_tokens",
        "formatted_prompt",
        "return_tokens_as_token_ids",
    }
)
"""All but the first two are what the frontend does with the token ids."""

_EXTRA = frozenset({"reasoning_parser_kwargs"})
"""Of ``extra_args``, what the frontend tells its own parser of thoughts."""

_ROUTING = {
    "lora_name": "the engine has no adapters",
    "cache_salt": "the engine's prompt cache is one for all requests",
    "priority": "requests are served in the order of arrival",
}
"""What a routing hint asks of the engine; the others are for the router."""

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "use_beam_search": (False,),
    "length_penalty": (1.0,),
    "allowed_token_ids": ([],),
    "bad_words_token_ids": ([],),
    "priority": (0,),
    "mm_processor_kwargs": ({},),
    "media_io_kwargs": ({},),
    "multi_modal_data": ({},),
    "multi_modal_uuids": ({},),
}
"""Values that change nothing."""

_WHY = {
    "n": "send one request for each answer",
    "best_of": "send several requests and choose yourself",
    "use_beam_search": "the engines sample only",
    "length_penalty": "it belongs to beam search, and the engines sample only",
    "allowed_token_ids": "use a guide",
    "bad_words_token_ids": "use a guide",
    "max_thinking_tokens": "the engines cannot bound a thought; use max_tokens",
    "prompt_logprobs": "the engines give log-probs of generated tokens only",
    "prompt_embeds": "send token ids",
    "media_io_kwargs": "text only",
    "multi_modal_data": "text only",
    "multi_modal_uuids": "text only",
    "mm_processor_kwargs": "text only",
    "prefill_result": "the worker does prefill and decode",
    "bootstrap_info": "the worker does prefill and decode",
    "encoder_result": "text only",
    "generate_request": "use the chat or the completions API",
}


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """``options`` are keyword arguments of :meth:`gemma4_client.AsyncClient.generate`."""

    token_ids: list[int]
    options: dict[str, Any]

    @property
    def prompt_tokens(self) -> int:
        return len(self.token_ids)

    def start(self, client: AsyncClient, *, request_id: str, timeout: float) -> AsyncStream:
        return client.generate(
            prompt_token_ids=self.token_ids, timeout=timeout, request_id=request_id, **self.options
        )

    async def chunks(self, delta: Delta, texts: TokenTexts) -> list[dict[str, Any]]:
        best = (token for place in delta.top_log_probs for token, _ in place)
        return [chunk_of(delta, await texts.learn(best))]

    def refusal(self, error: InvalidRequestError) -> str:
        return str(error)

    def cancelled(self) -> list[dict[str, Any]]:
        return [CANCELLED]

    def over(self) -> list[dict[str, Any]]:
        """Return the end of an answer that has its ``max_tokens``: of one whose worker died after
        the last token and before it said so, Dynamo asks another worker for 0 tokens more."""
        return [nothing_left(self.prompt_tokens)] if self.options.get("max_tokens") == 0 else []


def read_request(request: Mapping[str, Any], *, eos_ids: frozenset[int]) -> EngineRequest:
    """Return what to ask of the engine. ``eos_ids`` end every answer of it anyway. Raises
    :class:`RefusedError`; what only the engine can judge (ranges, ids) is left to it."""
    request = part("request", request)
    _refuse_others(request, _DYNAMOS, "")
    _refuse(part("routing", request.get("routing")), _ROUTING, "routing.")
    _known(request, "extra_args", _EXTRA)
    sampling = _known(request, "sampling_options", _SAMPLING)
    stops = _known(request, "stop_conditions", _STOP)
    output = _known(request, "output_options", _OUTPUT)
    options: dict[str, Any] = {name: sampling[name] for name in _PASSED_ON if name in sampling}
    if "top_k" in sampling:
        options["top_k"] = max(integer("sampling_options.top_k", sampling["top_k"]), 0)
    if "seed" in sampling:
        options["random_seed"] = integer("sampling_options.seed", sampling["seed"]) % 2**64
    options |= guide_options(sampling.get("guided_decoding"))
    options |= _stop_options(stops, eos_ids)
    if output.get("no_stop_trim"):  # SGLang's name of it
        options["include_stop_str_in_output"] = True
    if "logprobs" in output:
        options["return_log_probs"] = True
        if output["logprobs"]:
            options["top_logprobs"] = output["logprobs"]
    return EngineRequest(integers("token_ids", request.get("token_ids")), options)


def _stop_options(stops: Mapping[str, Any], eos_ids: frozenset[int]) -> dict[str, Any]:
    options: dict[str, Any] = {
        name: integer(f"stop_conditions.{name}", stops[name])
        for name in ("max_tokens", "min_tokens")
        if name in stops
    }
    if stops.get("ignore_eos"):
        if "max_tokens" not in options:
            raise RefusedError("stop_conditions.ignore_eos", "needs max_tokens; send it too")
        return options | {"min_tokens": options["max_tokens"]}
    if "min_tokens" in options and "max_tokens" in options:
        # Of a request that comes from another worker, Dynamo has lowered max_tokens alone.
        options["min_tokens"] = min(options["min_tokens"], options["max_tokens"])
    if stops.get("stop"):
        options["stop_words"] = stops["stop"]
    named = (t for name in _STOP_IDS for t in integers(f"stop_conditions.{name}", stops.get(name)))
    ids = [token for token in dict.fromkeys(named) if token not in eos_ids]
    if ids:
        options["stop_token_ids"] = ids
    return options


def _known(request: Mapping[str, Any], name: str, known: frozenset[str]) -> dict[str, Any]:
    """Return what a group of options sets."""
    values = {k: v for k, v in part(name, request.get(name)).items() if v is not None}
    _refuse_others(values, known, f"{name}.")
    return values


def _refuse_others(values: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    others = {name: _WHY.get(name, "is not known here; leave it out") for name in values}
    _refuse(values, {k: why for k, why in others.items() if k not in known}, where)


def _refuse(values: Mapping[str, Any], reasons: Mapping[str, str], where: str) -> None:
    for name, why in reasons.items():
        value = values.get(name)
        if value is not None and value not in _NEUTRAL.get(name, ()):
            raise RefusedError(f"{where}{name}", f"{short(value)} is not supported: {why}")
