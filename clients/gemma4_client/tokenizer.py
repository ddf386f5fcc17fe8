"""``gemma4_tokenizer``: text to ids and back, and which engine answers. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gemma4_client.errors import ServerError
from gemma4_client.request import Messages, as_messages, to_json
from gemma4_client.wire import read_strings

__all__ = ["MODEL", "ServerInfo", "Tokens", "detokenize_inputs", "read_tokens", "tokenize_inputs"]

MODEL = "gemma4_tokenizer"
Inputs = dict[str, tuple[str, list[Any]]]
"""(Triton data type, values) by tensor name."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The engine that a server runs. ``id`` changes with every build; ``created`` is when it was
    built, in seconds since 1970; lengths are in tokens. ``sampling`` has, by its name, what a
    sampling option is when a request leaves it out. ``slots`` requests run at once and
    ``max_queued`` wait; ``kv_tokens`` fit into the KV cache that requests share, 0 where each slot
    has its own; ``in_flight`` run or wait now, whoever sent them. ``refusal`` is the code of the
    error with which it refuses all requests now (``draining``, ``quality_gate_failed``), "" while
    it takes them. Only :meth:`Client.server_info` has these five, of an engine that runs. A server
    of before 0.2 says none of these six."""

    id: str
    model: str
    runtime: str
    runtime_version: str
    precision: str
    max_prompt_tokens: int
    max_total_tokens: int
    vocab_size: int
    created: int
    sampling: Mapping[str, float] = field(default_factory=dict, hash=False)
    slots: int = 0
    max_queued: int = 0
    kv_tokens: int = 0
    in_flight: int = 0
    refusal: str = ""


_LATER = frozenset({"sampling", "slots", "max_queued", "kv_tokens", "in_flight", "refusal"})
"""Fields that older servers do not have."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """``token_bytes[i]`` are the bytes of ``ids[i]``: part of a character for a byte token, the
    literal for a control token. ``text`` is all of them, decoded."""

    ids: list[int]
    text: str
    token_bytes: list[bytes]
    server: ServerInfo

    def __len__(self) -> int:
        return len(self.ids)


def tokenize_inputs(
    prompt: Messages,
    *,
    chat: bool,
    tools: Sequence[Mapping[str, Any]] | None = None,
    enable_thinking: bool | None = None,
    continue_final_message: bool | None = None,
    add_bos: bool | None = None,
) -> Inputs:
    """Make the inputs. Raises :class:`ValueError` for options that do not go with the prompt."""
    if chat and add_bos is not None:
        raise ValueError(f"add_bos={add_bos} needs chat=False; the chat template sets BOS itself")
    flags = {
        "enable_thinking": enable_thinking,
        "continue_final_message": continue_final_message,
    }
    for name, given in {"tools": tools, **flags}.items():
        if given is not None and not chat:
            raise ValueError(f"{name} needs chat=True")
    inputs: Inputs = {}
    if chat:
        inputs["messages"] = ("BYTES", [to_json("messages", as_messages(prompt))])
    elif isinstance(prompt, str):
        inputs["text"] = ("BYTES", [prompt])
    else:
        raise ValueError("a list of messages needs chat=True")
    if tools is not None:
        inputs["tools"] = ("BYTES", [to_json("tools", tools)])
    for name, value in {**flags, "add_bos": add_bos}.items():
        if value is not None:
            inputs[name] = ("BOOL", [value])
    return inputs


def detokenize_inputs(ids: Sequence[int]) -> Inputs:
    """Return the inputs; no ids ask for the engine's identity alone."""
    return {"token_ids": ("INT32", [int(token) for token in ids])}


def read_tokens(raw: Mapping[str, bytes]) -> Tokens:
    """Turn raw output tensors into :class:`Tokens`; those of tokens are missing where there are
    none. Raises :class:`ServerError` when another one is missing or cannot be read."""
    try:
        data = raw.get("token_ids", b"")
        known = json.loads(read_strings(raw["engine"])[0])
        server = ServerInfo(
            **{
                item.name: known[item.name]
                for item in fields(ServerInfo)
                if item.name in known or item.name not in _LATER
            }
        )
        return Tokens(
            ids=list(struct.unpack(f"<{len(data) // 4}i", data)),
            text=read_strings(raw["text"])[0].decode(),
            token_bytes=read_strings(raw["token_bytes"]) if data else [],
            server=server,
        )
    except (KeyError, IndexError) as error:
        raise ServerError(f"the server's {MODEL!r} is not of this version: no {error}") from None
    except (TypeError, ValueError, struct.error) as error:
        raise ServerError(f"the answer of {MODEL!r} cannot be read: {error}") from None
