"""Sampling options: the caller's over the checkpoint's, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma4_runtime.capabilities import Capabilities, refuse_conflicts
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.read import read_guide
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import SamplingParams

__all__ = ["Defaults", "load_defaults", "sampling_params"]


@dataclass(frozen=True, slots=True)
class Defaults:
    """generation_config.json: EOS and pad ids, and how the checkpoint wants to be sampled."""

    eos_ids: tuple[int, ...]
    pad_id: int
    temperature: float
    top_k: int
    top_p: float


def load_defaults(generation_config: Path) -> Defaults:
    """Read the file. Gemma 4's published values stand in for keys that it lacks."""
    data = json.loads(generation_config.read_text(encoding="utf-8"))
    eos = data["eos_token_id"]
    return Defaults(
        eos_ids=tuple(eos) if isinstance(eos, list) else (eos,),
        pad_id=data.get("pad_token_id", 0),
        temperature=data.get("temperature", 1.0),
        top_k=data.get("top_k", 64),
        top_p=data.get("top_p", 0.95),
    )


def _number(
    values: Mapping[str, Any],
    name: str,
    default: Any,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> Any:
    value = values.get(name, default)
    if above is not None and not value > above:
        raise invalid(
            Code.OUT_OF_RANGE, name, f"{value:g} must be greater than {above:g}", above=above
        )
    if least is not None and value < least:
        raise invalid(Code.OUT_OF_RANGE, name, f"{value:g} must be at least {least:g}", least=least)
    if most is not None and value > most:
        raise invalid(Code.OUT_OF_RANGE, name, f"{value:g} must be at most {most:g}", most=most)
    return value


def sampling_params(
    values: Mapping[str, Any],
    *,
    prompt_tokens: int,
    limits: Limits,
    defaults: Defaults,
    capabilities: Capabilities,
    vocab_size: int,
    encode: Callable[[str], list[int]],
    reach: int,
) -> SamplingParams:
    """Read the options. Raises INVALID_ARGUMENT for a value out of range, options that contradict
    each other, and what the runtime lacks. ``encode`` gives the ids of plain text; ``reach`` is the
    longest output in bytes."""
    room = limits.max_total_tokens - prompt_tokens
    max_tokens = _number(values, "max_tokens", room, least=1)
    if max_tokens > room:
        raise invalid(
            Code.TOO_MANY_TOKENS,
            "max_tokens",
            f"{max_tokens} with {prompt_tokens} prompt tokens exceeds the engine's limit of "
            f"{limits.max_total_tokens} total tokens; ask for at most {room}",
            limit=room,
        )
    min_tokens = _number(values, "min_tokens", 0, least=0)
    if min_tokens > max_tokens:
        raise invalid(
            Code.CONFLICTING_INPUTS,
            "min_tokens",
            f"{min_tokens} is more than max_tokens, {max_tokens}",
            other="max_tokens",
        )
    top_p = _number(values, "top_p", defaults.top_p, above=0.0, most=1.0)
    end_id = _token_id(values, "end_id", vocab_size)
    if _token_id(values, "pad_id", vocab_size) not in (None, defaults.pad_id):
        raise invalid(
            Code.OPTION_UNSUPPORTED,
            "pad_id",
            f"{values['pad_id']}: this model pads with {defaults.pad_id}; omit it",
        )
    log_probs = bool(values.get("return_log_probs", False))
    if log_probs and "return_log_probs" in capabilities.lacks:
        raise invalid(
            Code.OPTION_UNSUPPORTED, "return_log_probs", capabilities.lacks["return_log_probs"]
        )
    banned, sequences = _bad_words(values, limits, capabilities, encode)
    guided = read_guide(values, limits, capabilities, reach=reach)
    if guided is not None and min_tokens:
        # No runtime can: each draws the first tokens in a call of its own, and a second call would
        # begin the guide anew.
        raise invalid(
            Code.CONFLICTING_INPUTS,
            "min_tokens",
            f"{min_tokens} cannot be combined with a guide, which decides where the answer ends; "
            "leave one of them out",
            other="guided_decoding_guide_type",
        )
    sampling = SamplingParams(
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        temperature=_number(values, "temperature", defaults.temperature, least=0.0, most=100.0),
        top_k=_number(values, "top_k", defaults.top_k, least=0),
        top_p=top_p,
        min_p=_number(values, "min_p", 0.0, least=0.0, most=1.0),
        repetition_penalty=_number(values, "repetition_penalty", 1.0, above=0.0, most=100.0),
        presence_penalty=_number(values, "presence_penalty", 0.0, least=-2.0, most=2.0),
        frequency_penalty=_number(values, "frequency_penalty", 0.0, least=-2.0, most=2.0),
        seed=_number(values, "random_seed", None, least=0) if "random_seed" in values else None,
        stop_token_ids=defaults.eos_ids if end_id is None else (*defaults.eos_ids, end_id),
        stop=_stop_words(values, limits),
        bad_token_ids=banned,
        bad_sequences=sequences,
        log_probs=log_probs,
        guided=guided,
    )
    refuse_conflicts(sampling, capabilities)
    return sampling


def _token_id(values: Mapping[str, Any], name: str, vocab_size: int) -> int | None:
    value: int | None = values.get(name)
    if value is not None and not 0 <= value < vocab_size:
        raise invalid(
            Code.OUT_OF_RANGE,
            name,
            f"{value} is no token id; ids are 0 to {vocab_size - 1}",
            least=0,
            most=vocab_size - 1,
        )
    return value


def _stop_words(values: Mapping[str, Any], limits: Limits) -> tuple[str, ...]:
    words: list[str] = values.get("stop_words", [])
    if len(words) > limits.max_stop_words:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            "stop_words",
            f"{len(words)} words; at most {limits.max_stop_words}",
            size=len(words),
            limit=limits.max_stop_words,
        )
    for i, word in enumerate(words):
        if not word:
            raise invalid(Code.INVALID_VALUE, f"stop_words[{i}]", "is empty; leave it out")
        if len(word.encode()) > limits.max_stop_word_bytes:
            raise invalid(
                Code.INPUT_TOO_LARGE,
                f"stop_words[{i}]",
                f"is longer than {limits.max_stop_word_bytes} bytes",
                size=len(word.encode()),
                limit=limits.max_stop_word_bytes,
            )
    return tuple(dict.fromkeys(words))


def _bad_words(
    values: Mapping[str, Any],
    limits: Limits,
    capabilities: Capabilities,
    encode: Callable[[str], list[int]],
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return ids to ban alone, and sequences to ban as a whole; each word also with a space before
    it."""
    words: list[str] = values.get("bad_words", [])
    if words and "bad_words" in capabilities.lacks:
        raise invalid(Code.OPTION_UNSUPPORTED, "bad_words", capabilities.lacks["bad_words"])
    if len(words) > limits.max_bad_words:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            "bad_words",
            f"{len(words)} words; at most {limits.max_bad_words}",
            size=len(words),
            limit=limits.max_bad_words,
        )
    banned: dict[int, None] = {}
    sequences: dict[tuple[int, ...], None] = {}
    for i, word in enumerate(words):
        if not word:
            raise invalid(Code.INVALID_VALUE, f"bad_words[{i}]", "is empty; leave it out")
        if len(word.encode()) > limits.max_stop_word_bytes:
            raise invalid(
                Code.INPUT_TOO_LARGE,
                f"bad_words[{i}]",
                f"is longer than {limits.max_stop_word_bytes} bytes",
                size=len(word.encode()),
                limit=limits.max_stop_word_bytes,
            )
        forms = {tuple(encode(form)): form for form in (word, " " + word.lstrip())}
        banned |= {ids[0]: None for ids in forms if len(ids) == 1}
        for ids, form in forms.items():
            if any(token in banned for token in ids):
                continue  # this way to write it is closed already
            if "bad_sequences" in capabilities.lacks:
                raise invalid(
                    Code.OPTION_UNSUPPORTED,
                    f"bad_words[{i}]",
                    f"{form!r} is {len(ids)} tokens: {capabilities.lacks['bad_sequences']}",
                )
            sequences[ids] = None
    return tuple(banned), tuple(sequences)
