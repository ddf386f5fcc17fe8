"""A request in the words of TensorRT-LLM's ``SamplingParams``, and what it cannot say.

Stops: ``end_id`` -1 switches TensorRT-LLM's own end of sequence off (it does the same for
``ignore_eos``), and every stop id goes as a stop word: TensorRT-LLM then reports which one it was,
and keeps it in the output (``include_stop_str_in_output``), log-probability and all.

Minimum length: ``min_tokens`` of TensorRT-LLM holds back ``end_id`` only, and stop words have
precedence over it (NVIDIA/TensorRT-LLM#4776). So a request with ``min_tokens`` is two: that many
tokens with every stop id banned, then the rest after them.

Seeds: only a caller's own is sent. Without one TensorRT-LLM draws from one generator that goes on
from request to request, so answers differ; with one anywhere in a batch the whole batch takes a
slower path, and the first row's seed counts for all (``_SeedManager``, which says so). A seeded
answer is the same again when it was sampled alone.

Penalties: TensorRT-LLM counts the prompt in all three, except that presence and frequency leave out
the first ``prompt_ignore_length`` tokens (its ``PenaltyHandler``; #8127, #16485). The repetition
penalty counts prompt and answer in any case, as in transformers.

Logit bias: ``embedding_bias``, a float32 tensor with one number for each token of the vocabulary,
which TorchSampler adds to the logits in place, before penalties, bans and log-probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gemma4_runtime.capabilities import NO_SEQUENCES
from gemma4_runtime.engines.seeds import call_seed
from gemma4_runtime.engines.tensorrt_llm.structural_tag import structural_tag
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.guides.package_llguidance import validate
from gemma4_runtime.messages import GuidedDecoding, Prelude, SamplingParams

__all__ = ["Features", "guide_arguments", "refuse", "sampling_arguments"]

_SEEDS = 2**63
"""Of TensorRT-LLM's seed, an unsigned 64-bit integer; half, so that every layer can hold it."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the loaded arguments allow."""

    guided: bool
    structural_tags: bool
    mtp: bool
    mtp_penalties: bool

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Features:
        """Return the features of checked arguments of ``LLM(...)``."""
        config = args.get("speculative_config") or {}
        return cls(
            guided=args.get("guided_decoding_backend") is not None,
            structural_tags=args.get("guided_decoding_backend") == "xgrammar",
            mtp=bool(config),
            mtp_penalties=bool(config.get("enable_penalty", False)),
        )


def refuse(sampling: SamplingParams, features: Features) -> None:
    """Raise INVALID_ARGUMENT for what this engine cannot do, before it costs anything."""
    if sampling.bad_sequences:
        raise invalid(Code.OPTION_UNSUPPORTED, "bad_words", NO_SEQUENCES)
    if features.mtp:
        _refuse_with_mtp(sampling, features)
    if sampling.guided is None:
        return
    if not features.guided:
        raise invalid(
            Code.OPTION_UNSUPPORTED,
            "guided_decoding_guide_type",
            "this engine was built without guided decoding; build it again with guided decoding",
        )
    if sampling.min_tokens:
        raise invalid(
            Code.CONFLICTING_INPUTS,
            "min_tokens",
            "cannot be combined with a guide; the guide decides the end",
            other="guided_decoding_guide_type",
        )
    validate("guided_decoding_guide", guide_grammar(sampling.guided))
    if sampling.prelude is not None and not features.structural_tags:
        raise invalid(
            Code.OPTION_UNSUPPORTED,
            "guided_decoding_guide_type",
            "a guide beside thoughts or tool calls needs guided_decoding_backend xgrammar in "
            "llm_args.yaml; ask without enable_thinking and with tool_choice none",
        )


def _refuse_with_mtp(sampling: SamplingParams, features: Features) -> None:
    with_mtp = "this engine drafts with MTP, which does not do it; use an engine without assistant"
    if sampling.guided is not None:
        raise invalid(Code.OPTION_UNSUPPORTED, "guided_decoding_guide_type", with_mtp)
    if sampling.min_tokens:
        raise invalid(Code.OPTION_UNSUPPORTED, "min_tokens", with_mtp)
    if sampling.bad_token_ids:
        raise invalid(Code.OPTION_UNSUPPORTED, "bad_words", with_mtp)
    if sampling.logit_bias:
        raise invalid(Code.OPTION_UNSUPPORTED, "logit_bias", with_mtp)
    if features.mtp_penalties:
        return
    for name, neutral in (
        ("repetition_penalty", 1.0),
        ("presence_penalty", 0.0),
        ("frequency_penalty", 0.0),
    ):
        if getattr(sampling, name) != neutral:
            raise invalid(
                Code.OPTION_UNSUPPORTED,
                name,
                "this engine drafts with MTP without penalties; leave it out, or set "
                "speculative_config.enable_penalty in llm_args.yaml",
            )


def sampling_arguments(
    sampling: SamplingParams,
    *,
    prompt_tokens: int,
    max_tokens: int,
    pad_id: int,
    answered: int = 0,
    banned: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Return the keyword arguments of ``SamplingParams``, guide excluded. ``prompt_tokens`` is the
    length of the caller's prompt, behind which ``answered`` generated tokens stand; ``banned`` ids
    have no chance."""
    bad = list(dict.fromkeys((*sampling.bad_token_ids, *banned)))
    arguments: dict[str, Any] = {
        "max_tokens": max_tokens,
        "end_id": -1,
        "pad_id": pad_id,
        "stop_token_ids": list(dict.fromkeys(sampling.stop_token_ids)),
        "include_stop_str_in_output": True,
        "detokenize": False,
        "add_special_tokens": False,
        "temperature": sampling.temperature,
    }
    if sampling.seed is not None:
        arguments["seed"] = call_seed(sampling.seed, answered, limit=_SEEDS)
    if sampling.temperature > 0 and sampling.top_p == 0:
        arguments["top_k"] = 1  # TensorRT-LLM refuses a top_p of 0
    elif sampling.temperature > 0:
        arguments |= {"top_k": sampling.top_k, "top_p": sampling.top_p, "min_p": sampling.min_p}
    for name, neutral in (
        ("repetition_penalty", 1.0),
        ("presence_penalty", 0.0),
        ("frequency_penalty", 0.0),
    ):
        if getattr(sampling, name) != neutral:
            arguments[name] = getattr(sampling, name)
    if "presence_penalty" in arguments or "frequency_penalty" in arguments:
        arguments["prompt_ignore_length"] = prompt_tokens
    if bad:
        arguments["bad_token_ids"] = bad
    if sampling.log_probs:
        # 0: the sampled token's; k: those of the k most probable ones too.
        arguments["logprobs"] = sampling.top_log_probs
    return arguments


def guide_arguments(guided: GuidedDecoding, prelude: Prelude | None) -> dict[str, Any]:
    """Return the keyword arguments of ``GuidedDecodingParams``. xgrammar's EBNF is llama.cpp's
    GBNF."""
    if prelude is not None:
        return {"structural_tag": structural_tag(guided, prelude)}
    if guided.kind == "json":
        return {"json_object": True}
    if guided.kind == "json_schema":
        return {"json": guided.guide}
    return {guided.kind: guided.guide}
