"""A request to NVIDIA's ``ensemble`` -> the requests that answer it, one for each answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from gemma4_runtime.contract.nvidia_models import REFUSED, RETURN_SEQUENCES
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.input.names import read_request
from gemma4_runtime.input.tensors import read_inputs

__all__ = ["MOST_ANSWERS", "Part", "nvidia_parts"]

MOST_ANSWERS = 64
"""Prompts of a batch times answers to each: more would fill a server's queue by one request."""

_REFUSED = {tensor.name: tensor.instead for tensor in REFUSED}
_PROMPT = "text_input"
_SEEDS = 2**64
"""Seeds that there are: the next after the last is the first."""


@dataclass(frozen=True, slots=True)
class Part:
    """``values`` as :func:`~gemma4_runtime.input.names.read_request` gives them; ``place`` is the
    number of the prompt in its batch, and of the answer to it."""

    values: dict[str, Any]
    place: tuple[int, int]


def nvidia_parts(tensors: Mapping[str, npt.NDArray[Any]]) -> list[Part]:
    """Read the inputs of their models, each of shape [prompts, ...], with their defaults. Raises
    :class:`~gemma4_runtime.errors.RequestError` INVALID_ARGUMENT."""
    for name, instead in _REFUSED.items():
        if name in tensors:
            raise invalid(Code.OPTION_UNSUPPORTED, name, instead)
    if _PROMPT not in tensors:
        raise invalid(Code.MISSING_INPUT, _PROMPT, "is missing; it is the prompt")
    prompts = len(tensors[_PROMPT])
    _check_batch(tensors, prompts)
    parts = []
    for number in range(prompts):
        row = {name: array[number : number + 1] for name, array in tensors.items()}
        answers = _answers(row, prompts)
        values = _with_defaults(read_request(row))
        seed = values["random_seed"]
        parts += [
            Part({**values, "random_seed": (seed + answer) % _SEEDS}, (number, answer))
            for answer in range(answers)
        ]
    return parts


def _check_batch(tensors: Mapping[str, npt.NDArray[Any]], prompts: int) -> None:
    if not prompts:
        raise invalid(Code.MISSING_INPUT, _PROMPT, "is empty")
    for name, array in tensors.items():
        if len(array) != prompts:
            raise invalid(
                Code.WRONG_TYPE,
                name,
                f"shape {list(array.shape)} is for {len(array)} prompts; text_input has {prompts}",
            )


def _answers(row: dict[str, npt.NDArray[Any]], prompts: int) -> int:
    """Take the number of answers to a prompt out of ``row``."""
    array = row.pop(RETURN_SEQUENCES, None)
    answers: int = 1 if array is None else read_inputs({RETURN_SEQUENCES: array})[RETURN_SEQUENCES]
    most = MOST_ANSWERS // prompts
    if most == 0:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            _PROMPT,
            f"{prompts} prompts; at most {MOST_ANSWERS}; send the rest in another request",
            size=prompts,
            limit=MOST_ANSWERS,
        )
    if not 1 <= answers <= most:
        raise invalid(
            Code.OUT_OF_RANGE,
            RETURN_SEQUENCES,
            f"{answers} is not in 1 to {most}; with {prompts} prompts a request has at most "
            f"{MOST_ANSWERS} answers",
            least=1,
            most=most,
        )
    return answers


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` with what their models do where nothing is said: the most probable token,
    the prompt before an answer that is not streamed, the stop word at its end."""
    top_k, top_p = values.get("top_k", 0), values.get("top_p", 0.0)
    if top_p == 0:
        top_k, top_p = top_k or 1, 1.0
    values["top_k"], values["top_p"] = top_k, top_p
    values.setdefault("temperature", 1.0)
    values.setdefault("random_seed", 0)
    values["include_stop_str_in_output"] = True
    if values.get("stream", False):
        values["exclude_input_in_output"] = True
    else:
        values.setdefault("exclude_input_in_output", False)
    return values
