"""What a request may say beside its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

__all__ = ["Options"]


class Options(TypedDict, total=False):
    """Keyword arguments of ``chat``, ``generate`` and ``map``. All are optional; what is left out,
    or None, has the server's default, which comes from the checkpoint's generation_config.json.
    Names are those of the model's input tensors; docs/reference/tensors.md of the server has the
    limits."""

    # options: made of gemma4_runtime/contract by `make generate`; do not edit
    tool_choice: str | None
    """With a guide: "auto" lets the model call tools instead of giving the guided answer, "none"
    does not."""
    parallel_tool_calls: bool | None
    """False: the answer ends after its first tool call."""
    enable_thinking: bool | None
    """Let the model think first; ``reasoning`` holds its thoughts."""
    continue_final_message: bool | None
    """Go on with the text of the last message, which is from ``assistant``, instead of opening a
    new turn; the answer is what comes after it."""
    max_tokens: int | None
    """Most tokens of the answer, thoughts and tool calls included."""
    stream: bool
    """Send chunks as they come (the default), or one answer at the end."""
    temperature: float | None
    """0 is greedy."""
    top_k: int | None
    """Draw from the most probable tokens, so many. 0 is off, 1 is greedy."""
    top_p: float | None
    """Draw from the most probable tokens that come to this share. 1 is off, 0 is greedy."""
    min_p: float | None
    """Leave out tokens below this share of the most probable one's chance. 0 is off."""
    repetition_penalty: float | None
    """Makes tokens that prompt or answer have less probable. 1 is off."""
    presence_penalty: float | None
    """Taken from the logits of tokens that the answer has. 0 is off."""
    frequency_penalty: float | None
    """Taken from a token's logit for each time that the answer has it. 0 is off."""
    random_seed: int | None
    """The same seed gives the same answer; on TensorRT-LLM only when run alone."""
    logit_bias: Mapping[int, float] | None
    """Token ids and what is added to their logits, -100 to 100 each."""
    stop_words: Sequence[str] | str | None
    """Texts that end the answer and, without ``include_stop_str_in_output``, are no part of it."""
    bad_words: Sequence[str] | str | None
    """Words that must not occur."""
    min_tokens: int | None
    """The answer does not end before so many tokens."""
    end_id: int | None
    """A token id that ends the answer, beside the checkpoint's. One that the model has not never
    comes."""
    stop_token_ids: Sequence[int] | int | None
    """Token ids that end the answer, beside the checkpoint's."""
    include_stop_str_in_output: bool | None
    """True leaves the stop word that ended the answer, or the text of the stop token, in the
    answer. Control tokens have no text."""
    pad_id: int | None
    """Has no effect: nothing is padded."""
    exclude_input_in_output: bool | None
    """False puts the prompt before the text."""
    return_log_probs: bool | None
    """One log-probability for each token, in ``log_probs``."""
    top_logprobs: int | None
    """So many most probable tokens, in ``top_log_probs``; needs ``return_log_probs``."""
    guided_decoding_guide_type: str | None
    """json, json_schema, regex or grammar, with ``guided_decoding_guide``: the tensors themselves,
    instead of the five options that follow."""
    guided_decoding_guide: str | None
    """The schema, regular expression or grammar (GBNF); none for json."""
    timeout_ms: int | None
    """The server ends the request after so long; ``timeout`` ends it on both sides."""
    # end of options
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
