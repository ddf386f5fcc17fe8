"""Inputs -> one accepted request. Cheap checks first; nothing is rendered or tokenized that a
size limit would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gemma4_runtime.capabilities import Capabilities
from gemma4_runtime.errors import invalid
from gemma4_runtime.input.chat import ChatTemplate, parse_messages, parse_tools
from gemma4_runtime.input.sampling import load_defaults, sampling_params
from gemma4_runtime.input.tensors import read_inputs
from gemma4_runtime.input.text import PromptTokenizer
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import GenerationRequest

__all__ = ["Preparer"]


class Preparer:
    """Holds the tokenizer and template of an engine folder. Thread-safe."""

    def __init__(self, folder: Path, *, limits: Limits, capabilities: Capabilities) -> None:
        self._limits = limits
        self._capabilities = capabilities
        self._tokenizer = PromptTokenizer(folder / "tokenizer.json")
        self._template = ChatTemplate(folder / "chat_template.jinja")
        self._defaults = load_defaults(folder / "generation_config.json")

    def prepare(
        self, tensors: Mapping[str, npt.NDArray[Any]], *, request_id: str, key: str, now: float
    ) -> GenerationRequest:
        """Raises :class:`~gemma4_runtime.errors.RequestError` INVALID_ARGUMENT, nothing else,
        whatever the tensors hold. ``now`` is seconds of :func:`time.time`."""
        values = read_inputs(tensors)
        chat = self._check_kind(values)
        self._check_sizes(values)
        timeout = values.get("timeout_ms")
        if timeout is not None and not 1 <= timeout <= self._limits.max_timeout_ms:
            raise invalid("timeout_ms", f"{timeout} is not in 1 to {self._limits.max_timeout_ms}")
        field = "messages" if chat else "text_input"
        ids = self._chat_ids(values) if chat else self._text_ids(values["text_input"])
        if len(ids) > self._limits.max_prompt_tokens:
            raise invalid(
                field,
                f"{len(ids)} tokens; the engine takes prompts of at most "
                f"{self._limits.max_prompt_tokens}; shorten it",
            )
        sampling = sampling_params(
            values,
            prompt_tokens=len(ids),
            limits=self._limits,
            defaults=self._defaults,
            capabilities=self._capabilities,
            vocab_size=self._tokenizer.vocab_size,
            encode=self._tokenizer.encode_plain,
        )
        return GenerationRequest(
            key=key,
            input_ids=ids,
            sampling=sampling,
            request_id=request_id,
            stream=values.get("stream", True),
            channel="reasoning" if self._in_thought(ids) else "content",
            parse_tools=chat,
            echo="" if values.get("exclude_input_in_output", True) else values[field],
            deadline=None if timeout is None else now + timeout / 1000,
            arrival=now,
        )

    def _check_kind(self, values: Mapping[str, Any]) -> bool:
        """True for chat, False for raw text."""
        chat, text = "messages" in values, "text_input" in values
        if chat and text:
            raise invalid("messages", "text_input is given too; send one of them")
        if not chat and not text:
            raise invalid("text_input", "is missing, and so is messages; send one of them")
        for name in ("tools", "enable_thinking"):
            if name in values and not chat:
                raise invalid(name, "needs messages; text_input is a prompt that you rendered")
        if chat and values.get("exclude_input_in_output") is False:
            raise invalid("exclude_input_in_output", "false needs text_input; a chat is not echoed")
        return chat

    def _check_sizes(self, values: Mapping[str, Any]) -> None:
        limits = self._limits
        for name, most in (
            ("text_input", limits.max_text_bytes),
            ("messages", limits.max_text_bytes),
            ("tools", limits.max_tools_bytes),
        ):
            size = len(values.get(name, "").encode())
            if size > most:
                raise invalid(name, f"{size} bytes; at most {most}")

    def _text_ids(self, text: str) -> list[int]:
        if not text:
            raise invalid("text_input", "is empty")
        return self._tokenizer.encode_raw(text, "text_input")

    def _chat_ids(self, values: Mapping[str, Any]) -> list[int]:
        guard = self._tokenizer.guard
        messages = parse_messages(values["messages"], self._limits, guard)
        tools = parse_tools(values["tools"], self._limits, guard) if "tools" in values else []
        thinking = values.get("enable_thinking", False)
        rendered = self._template.render(messages, tools, thinking=thinking)
        return self._tokenizer.encode_rendered(rendered)

    def _in_thought(self, ids: list[int]) -> bool:
        control = self._tokenizer.control
        opened, closed = control["<|channel>"], control["<channel|>"]
        for token in reversed(ids):
            if token in (opened, closed):
                return token == opened
        return False
