"""A request to Triton as data that can be changed at random and put in any protocol's words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

MODELS = ("gemma4", "engine", "preprocessing", "postprocessing", "gemma4_unary", "gemma4_tokenizer")

Tensor = dict[str, Any]
"""``name``, ``datatype``, ``shape``, and ``data`` (a list) or ``raw`` (bytes)."""


def tensor(name: str, datatype: str, *data: Any) -> Tensor:
    return {"name": name, "datatype": datatype, "shape": [1, len(data)], "data": list(data)}


@dataclass
class Spec:
    """``headers`` and ``wire`` (of the HTTP or protobuf bytes: offset share, new byte) are only
    for some protocols."""

    model: str
    inputs: list[Tensor]
    outputs: list[dict[str, Any]] = field(default_factory=list)
    id: str = ""
    version: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    wire: list[tuple[float, int]] = field(default_factory=list)
    cut: float = 1.0
    """Share of the bytes that are sent."""


MESSAGES = json.dumps([{"role": "user", "content": "Hello"}])
TOOLS = json.dumps(
    [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
)
OPTIONS: dict[str, Tensor] = {
    t["name"]: t
    for t in (
        tensor("tools", "BYTES", TOOLS),
        tensor("tool_choice", "BYTES", "auto"),
        tensor("parallel_tool_calls", "BOOL", False),
        tensor("enable_thinking", "BOOL", True),
        tensor("max_tokens", "INT32", 3),
        tensor("stream", "BOOL", True),
        tensor("temperature", "FP32", 0.5),
        tensor("top_k", "INT32", 5),
        tensor("top_p", "FP32", 0.9),
        tensor("min_p", "FP32", 0.1),
        tensor("repetition_penalty", "FP32", 1.1),
        tensor("presence_penalty", "FP32", 0.5),
        tensor("frequency_penalty", "FP32", 0.5),
        tensor("random_seed", "UINT64", 7),
        tensor("stop_words", "BYTES", "x", "yy"),
        tensor("bad_words", "BYTES", "z"),
        tensor("min_tokens", "INT32", 1),
        tensor("end_id", "INT32", 5),
        tensor("pad_id", "INT32", 0),
        tensor("exclude_input_in_output", "BOOL", True),
        tensor("return_log_probs", "BOOL", True),
        tensor("guided_decoding_guide_type", "BYTES", "json_schema"),
        tensor("guided_decoding_guide", "BYTES", '{"type": "object"}'),
        tensor("timeout_ms", "INT64", 60_000),
    )
}
CHAT_INPUTS = {
    "text_input": tensor("text_input", "BYTES", "Hello"),
    "messages": tensor("messages", "BYTES", MESSAGES),
    **OPTIONS,
}
INPUTS: dict[str, dict[str, Tensor]] = {
    "gemma4": CHAT_INPUTS,
    "preprocessing": CHAT_INPUTS,
    "gemma4_unary": CHAT_INPUTS,
    "engine": {
        "request": tensor("request", "UINT8", 1, 2, 3),
        "feed": tensor("feed", "BYTES", "0" * 32 + "/1"),
        **CHAT_INPUTS,
    },
    "postprocessing": {"chunk": tensor("chunk", "UINT8", *b"\x93garbage")},
    "gemma4_tokenizer": {
        t["name"]: t
        for t in (
            tensor("text", "BYTES", "Hello"),
            tensor("messages", "BYTES", MESSAGES),
            tensor("tools", "BYTES", TOOLS),
            tensor("enable_thinking", "BOOL", False),
            tensor("add_bos", "BOOL", True),
            tensor("token_ids", "INT32", 2, 3),
        )
    },
}
"""A valid value for every input of every model; a test compares the names with config.pbtxt."""

_CHAT_OUTPUTS = {
    "text_output": "BYTES", "reasoning_output": "BYTES", "tool_calls": "BYTES",
    "finish_reason": "BYTES", "chunk_index": "INT32", "prompt_tokens": "INT32",
    "completion_tokens": "INT32", "output_ids": "INT32", "output_log_probs": "FP32",
    "cum_log_probs": "FP32", "timings": "BYTES",
}  # fmt: skip
OUTPUTS: dict[str, dict[str, str]] = {
    "gemma4": _CHAT_OUTPUTS,
    "gemma4_unary": _CHAT_OUTPUTS,
    "postprocessing": _CHAT_OUTPUTS,
    "preprocessing": {"request": "UINT8"},
    "engine": {"chunk": "UINT8", "packed": "UINT8"},
    "gemma4_tokenizer": {"token_ids": "INT32", "text": "BYTES", "token_bytes": "BYTES",
                         "engine": "BYTES"},
}  # fmt: skip
