"""A request to Triton as data that can be changed at random and put in any protocol's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gemma4_runtime.contract.inputs import INPUTS as DECLARED_INPUTS
from gemma4_runtime.contract.outputs import OUTPUTS as DECLARED_OUTPUTS

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


CHAT_INPUTS: dict[str, Tensor] = {
    declared.name: tensor(declared.name, declared.wire_type, *declared.example)
    for declared in DECLARED_INPUTS
}
MESSAGES, TOOLS = (CHAT_INPUTS[name]["data"][0] for name in ("messages", "tools"))
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
            tensor("continue_final_message", "BOOL", False),
            tensor("add_bos", "BOOL", True),
            tensor("token_ids", "INT32", 2, 3),
        )
    },
}
"""A valid value for every input of every model; a test compares the names with config.pbtxt."""

_CHAT_OUTPUTS = {declared.name: declared.wire_type for declared in DECLARED_OUTPUTS}
OUTPUTS: dict[str, dict[str, str]] = {
    "gemma4": _CHAT_OUTPUTS,
    "gemma4_unary": _CHAT_OUTPUTS,
    "postprocessing": _CHAT_OUTPUTS,
    "preprocessing": {"request": "UINT8"},
    "engine": {"chunk": "UINT8", "packed": "UINT8"},
    "gemma4_tokenizer": {"token_ids": "INT32", "text": "BYTES", "token_bytes": "BYTES",
                         "engine": "BYTES"},
}  # fmt: skip
