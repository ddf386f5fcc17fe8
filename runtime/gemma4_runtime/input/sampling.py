"""Sampling options: the caller's over the checkpoint's, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma4_runtime.capabilities import Capabilities, refuse_conflicts
from gemma4_runtime.contract.inputs import INPUT, SAMPLING
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.guides.read import read_guide
from gemma4_runtime.input.logit_bias import parse_logit_bias
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import SamplingParams

__all__ = ["Defaults", "load_defaults", "sampling_params"]

_OPTIONS = tuple((option.name, option.param, *option.bounds) for option in SAMPLING)
_LEAST = {name: INPUT[name].bounds[0] for name in ("max_tokens", "min_tokens")}


@dataclass(frozen=True, slots=True)
class Defaults:
    """generation_config.json: EOS ids. ``sampling`` has the default of every sampling
    option, by its input's name; those of the checkpoint come before ours."""

    eos_ids: tuple[int, ...]
    sampling: Mapping[str, float | None]


def load_defaults(generation_config: Path) -> Defaults:
    """Read the file. The declared defaults, which are Gemma 4's published values, stand in for
    keys that it lacks."""
    data = json.loads(generation_config.read_text(encoding="utf-8"))
    eos = data["eos_token_id"]
    return Defaults(
        eos_ids=tuple(eos) if isinstance(eos, list) else (eos,),
        sampling={
            option.name: data.get(option.name, option.default)
            if option.from_checkpoint
            else option.default
            for option in SAMPLING
        },
    )


def _outside(name: str, value: Any) -> RequestError:
    """INVALID_ARGUMENT for a value of the input ``name`` outside the declared range."""
    (least, most), above = INPUT[name].bounds, INPUT[name].range.above
    if above is not None and not value > above:
        return invalid(
            Code.OUT_OF_RANGE, name, f"{value:g} must be greater than {above:g}", above=above
        )
    if value < least:
        return invalid(
            Code.OUT_OF_RANGE, name, f"{value:g} must be at least {least:g}", least=least
        )
    return invalid(Code.OUT_OF_RANGE, name, f"{value:g} must be at most {most:g}", most=most)


def _at_least(name: str, value: int) -> int:
    if value < _LEAST[name]:
        raise _outside(name, value)
    return value


def _log_probs(values: Mapping[str, Any], capabilities: Capabilities) -> tuple[bool, int]:
    """Return whether each token's is asked for, and for how many others in its place."""
    wanted, top = bool(values.get("return_log_probs", False)), values.get("top_logprobs", 0)
    least, most = INPUT["top_logprobs"].bounds
    if not least <= top <= most:
        raise _outside("top_logprobs", top)
    for name, asked in (("return_log_probs", wanted), ("top_logprobs", top)):
        if asked and name in capabilities.lacks:
            raise invalid(Code.OPTION_UNSUPPORTED, name, capabilities.lacks[name])
    if top and not wanted:
        raise invalid(
            Code.CONFLICTING_INPUTS,
            "top_logprobs",
            f"{top} needs return_log_probs; ask for it too",
            other="return_log_probs",
        )
    return wanted, top


def _numbers(
    values: Mapping[str, Any], defaults: Mapping[str, float | None], lacks: Mapping[str, str]
) -> dict[str, Any]:
    """Every sampling option as a field of SamplingParams. Raises INVALID_ARGUMENT for one that is
    out of range or that the runtime lacks."""
    found = {}
    for name, field, least, most in _OPTIONS:
        value = values.get(name, defaults[name])
        if value is not None and not least <= value <= most:
            raise _outside(name, value)
        found[field] = value
    for name, why in lacks.items():
        if name in values and name in defaults and values[name] != defaults[name]:
            raise invalid(Code.OPTION_UNSUPPORTED, name, why)
    return found


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
    max_tokens = _at_least("max_tokens", values.get("max_tokens", room))
    if max_tokens > room:
        raise invalid(
            Code.TOO_MANY_TOKENS,
            "max_tokens",
            f"{max_tokens} with {prompt_tokens} prompt tokens exceeds the engine's limit of "
            f"{limits.max_total_tokens} total tokens; ask for at most {room}",
            limit=room,
        )
    min_tokens = _at_least("min_tokens", values.get("min_tokens", 0))
    if min_tokens > max_tokens:
        raise invalid(
            Code.CONFLICTING_INPUTS,
            "min_tokens",
            f"{min_tokens} is more than max_tokens, {max_tokens}",
            other="max_tokens",
        )
    numbers = _numbers(values, defaults.sampling, capabilities.lacks)
    named = _stop_ids(values, vocab_size)
    log_probs, top = _log_probs(values, capabilities)
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
        **numbers,
        stop_token_ids=tuple(dict.fromkeys((*defaults.eos_ids, *named))),
        stop=_stop_words(values, limits),
        bad_token_ids=banned,
        bad_sequences=sequences,
        log_probs=log_probs,
        guided=guided,
        top_log_probs=top,
        named_stop_ids=named,
        include_stop=values.get("include_stop_str_in_output", False),
        logit_bias=_logit_bias(values, limits, capabilities, vocab_size),
    )
    refuse_conflicts(sampling, capabilities)
    return sampling


def _logit_bias(
    values: Mapping[str, Any], limits: Limits, capabilities: Capabilities, vocab_size: int
) -> tuple[tuple[int, float], ...]:
    if "logit_bias" not in values:
        return ()
    biases = parse_logit_bias(values["logit_bias"], limits, vocab_size)
    if biases and "logit_bias" in capabilities.lacks:
        raise invalid(Code.OPTION_UNSUPPORTED, "logit_bias", capabilities.lacks["logit_bias"])
    return biases


def _stop_ids(values: Mapping[str, Any], vocab_size: int) -> tuple[int, ...]:
    """Return the ids that the caller named, each once, without an ``end_id`` of a larger
    vocabulary: NVIDIA's requests carry that of their model, which this one never draws."""
    found = [
        _token_id(f"stop_token_ids[{i}]", token, vocab_size)
        for i, token in enumerate(values.get("stop_token_ids", ()))
    ]
    end_id: int | None = values.get("end_id")
    if end_id is not None and end_id < vocab_size:
        found.append(_token_id("end_id", end_id, vocab_size))
    return tuple(dict.fromkeys(found))


def _token_id(name: str, value: int, vocab_size: int) -> int:
    if not 0 <= value < vocab_size:
        raise invalid(
            Code.OUT_OF_RANGE,
            name,
            f"{value} is no token id, and the checkpoint's own always end the answer; ids are 0 to "
            f"{vocab_size - 1}",
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
        if len(word.encode()) > limits.max_stop_word_bytes:
            raise invalid(
                Code.INPUT_TOO_LARGE,
                f"stop_words[{i}]",
                f"is longer than {limits.max_stop_word_bytes} bytes",
                size=len(word.encode()),
                limit=limits.max_stop_word_bytes,
            )
    return tuple(dict.fromkeys(filter(None, words)))


def _bad_words(
    values: Mapping[str, Any],
    limits: Limits,
    capabilities: Capabilities,
    encode: Callable[[str], list[int]],
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return ids to ban alone, and sequences to ban as a whole; each word also with a space before
    it."""
    words: list[str] = values.get("bad_words", [])
    if not words:
        return (), ()
    if "bad_words" in capabilities.lacks:
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
            continue
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
