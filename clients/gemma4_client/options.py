"""What a request may say beside its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

__all__ = ["Options"]


class Options(TypedDict, total=False):
    """Keyword arguments of ``chat``, ``generate`` and ``map``. All are optional; what is left out,
    or None, has the server's default, which comes from the checkpoint's generation_config.json.
    Names are those of the model's input tensors; docs/serving.md of the server has the limits."""

    stream: bool
    """Send chunks as they come (the default), or one answer at the end."""
    enable_thinking: bool | None
    """Let the model think first; ``reasoning`` holds its thoughts."""
    tool_choice: str | None
    """With a guide: "auto" (the default) lets the model call tools instead of giving the guided
    answer, "none" does not."""
    parallel_tool_calls: bool | None
    """False: the answer ends after its first tool call."""
    max_tokens: int | None
    min_tokens: int | None
    temperature: float | None
    """0 is greedy."""
    top_k: int | None
    """0 is off, 1 is greedy."""
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    random_seed: int | None
    stop_words: Sequence[str] | str | None
    bad_words: Sequence[str] | str | None
    end_id: int | None
    """A token id that ends the answer, beside the checkpoint's."""
    pad_id: int | None
    exclude_input_in_output: bool | None
    """False puts the prompt before the text."""
    return_log_probs: bool | None
    """One log-probability for each token, in ``log_probs``."""
    timeout_ms: int | None
    """The server ends the request after so long; ``timeout`` ends it on both sides."""
    response_model: type[Any] | None
    """A pydantic model class: the answer is JSON of its schema, and ``Answer.parsed`` an
    instance."""
    json_schema: Mapping[str, Any] | None
    """The answer is JSON of this schema."""
    json_object: bool | None
    """The answer is JSON."""
    regex: str | None
    """The answer matches."""
    grammar: str | None
    """The answer is of this grammar, in the form that the engine takes."""
    guided_decoding_guide_type: str | None
    """json, json_schema, regex or grammar, with ``guided_decoding_guide``: the tensors themselves,
    instead of the five above."""
    guided_decoding_guide: str | None
