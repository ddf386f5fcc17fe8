"""Inputs -> one accepted request. Cheap checks first; nothing is rendered or tokenized that a
size limit would refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy.typing as npt

from gemma4_runtime.capabilities import Capabilities
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.answer import GuideAnswer
from gemma4_runtime.guides.prelude import check_tool_options, markers, read_prelude
from gemma4_runtime.guides.trial import GuideTrial
from gemma4_runtime.input.chat import parse_messages
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.names import read_request
from gemma4_runtime.input.sampling import load_defaults, sampling_params
from gemma4_runtime.input.tensors import only_one
from gemma4_runtime.input.text import GUARD, PromptTokenizer
from gemma4_runtime.input.tools import parse_tools
from gemma4_runtime.limits import Limits
from gemma4_runtime.manifest import CHAT_TEMPLATE
from gemma4_runtime.messages import GenerationRequest, GuidedDecoding, SamplingParams
from gemma4_runtime.trace_context import TraceContext

__all__ = ["Preparer"]


_CHAT_ONLY = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "enable_thinking",
    "continue_final_message",
)
"""Inputs that say something of messages."""


_PROMPTS = ("messages", "text_input", "prompt_token_ids")
"""Inputs that are the prompt, of which a request has one."""


def _kind_of(values: Mapping[str, Any]) -> str:
    """Return the name of the input that is the prompt."""
    field = only_one(values, _PROMPTS, usual="text_input")
    for name in _CHAT_ONLY:
        if name in values and field != "messages":
            raise invalid(
                Code.CONFLICTING_INPUTS,
                name,
                f"needs messages; {field} is a prompt that you rendered",
                other="messages",
            )
    if field != "text_input" and values.get("exclude_input_in_output") is False:
        what = "a chat is" if field == "messages" else "token ids are"
        raise invalid(
            Code.CONFLICTING_INPUTS,
            "exclude_input_in_output",
            f"false needs text_input; {what} not echoed",
            other="text_input",
        )
    return field


class Preparer:
    """Holds the tokenizer and template of an engine folder. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: Limits,
        capabilities: Capabilities,
        template: Path | None = None,
    ) -> None:
        """``template``: in place of the folder's chat template."""
        self.limits = limits
        self._capabilities = capabilities
        self._tokenizer = PromptTokenizer(folder / "tokenizer.json")
        self._trial = (
            GuideTrial(folder / "tokenizer.json", enforcer=capabilities.enforcer)
            if capabilities.guides
            else None
        )
        self._answers = (
            GuideAnswer(folder / "tokenizer.json", enforcer=capabilities.enforcer)
            if capabilities.guides
            else None
        )
        longest = self._tokenizer.longest
        self._most_prompt_bytes = limits.max_prompt_tokens * longest
        self._reach = limits.max_total_tokens * longest
        self._template = ChatTemplate(template or folder / CHAT_TEMPLATE)
        self._defaults = load_defaults(folder / "generation_config.json")

    def prepare(
        self, tensors: Mapping[str, npt.NDArray[Any]], *, request_id: str, key: str, now: float
    ) -> GenerationRequest:
        """Prepare a request. Raises :class:`~gemma4_runtime.errors.RequestError` INVALID_ARGUMENT,
        nothing else, whatever the tensors hold. ``now`` is seconds of :func:`time.monotonic`."""
        return self.prepare_values(read_request(tensors), request_id=request_id, key=key, now=now)

    def prepare_values(
        self,
        values: dict[str, Any],
        *,
        request_id: str,
        key: str,
        now: float,
        step: Callable[[str], None] = lambda field: None,
        guide_known: bool = False,
        trace: TraceContext | None = None,
    ) -> GenerationRequest:
        """Do as :meth:`prepare`, of what :func:`~gemma4_runtime.input.names.read_request` gave.
        ``step`` is called with each input that is worked on; ``guide_known``: the guide was tried
        before."""
        field = _kind_of(values)
        chat = field == "messages"
        for name in ("text_input", "messages", "tools"):
            self.check_size(name, values.get(name, ""))
        timeout = values.get("timeout_ms")
        if timeout is not None and not 1 <= timeout <= self.limits.max_timeout_ms:
            raise invalid(
                Code.OUT_OF_RANGE,
                "timeout_ms",
                f"{timeout} is not in 1 to {self.limits.max_timeout_ms}",
                least=1,
                most=self.limits.max_timeout_ms,
            )
        check_tool_options(values)
        tools: list[str] = []
        if chat:
            ids, tools = self._chat(values, step)
        else:
            step(field)
            ids = values[field]
            ids = self.text_ids(ids) if field == "text_input" else self._known_ids(ids)
        self._check_tokens(field, ids)
        step("guided_decoding_guide")
        sampling = sampling_params(
            values,
            prompt_tokens=len(ids),
            limits=self.limits,
            defaults=self._defaults,
            capabilities=self._capabilities,
            vocab_size=self._tokenizer.vocab_size,
            encode=self._tokenizer.encode_plain,
            reach=self._reach,
        )
        if sampling.guided is not None and self._trial is not None and not guide_known:
            self._trial.check(sampling.guided)
        if sampling.guided is not None:
            prelude = read_prelude(values, tools, thought=self._thought(values, ids))
            sampling = msgspec.structs.replace(sampling, prelude=prelude)
            if self._capabilities.compiler == "xgrammar":
                sampling = self._without_control(sampling)
        return GenerationRequest(
            key=key,
            input_ids=ids,
            sampling=sampling,
            request_id=request_id,
            stream=values.get("stream", False),
            channel="reasoning" if self._in_thought(ids) else "content",
            parse_tools=chat,
            echo="" if values.get("exclude_input_in_output", True) else values["text_input"],
            deadline=None if timeout is None else now + timeout / 1000,
            arrival=now,
            one_call=values.get("parallel_tool_calls") is False,
            trace=trace,
        )

    def _without_control(self, sampling: SamplingParams) -> SamplingParams:
        """Ban control tokens: xgrammar takes the literal of a control token for text, but nobody
        reads it as such. The markers that the answer needs stay."""
        assert self._answers is not None
        control = self._answers.special - markers(sampling.prelude, self._answers.control)
        control -= set(sampling.stop_token_ids)
        banned = dict.fromkeys((*sampling.bad_token_ids, *sorted(control)))
        return msgspec.structs.replace(sampling, bad_token_ids=tuple(banned))

    def verdict(self, values: Mapping[str, Any]) -> str:
        """Return what is wrong with an answer under a guide; "" when nothing is. ``values``: the
        guide as it was prepared, with ``asked``, ``text`` (bytes) and ``complete``."""
        assert self._answers is not None
        guided = GuidedDecoding(
            values["guided_decoding_guide_type"], values["guided_decoding_guide"], values["asked"]
        )
        return self._answers.problem(guided, values["text"], complete=values["complete"])

    def check_size(self, name: str, text: str) -> None:
        """Raise INVALID_ARGUMENT when the input is larger than this server reads."""
        most = self.limits.max_tools_bytes if name == "tools" else self.limits.max_text_bytes
        size = len(text.encode())
        if size > most:
            raise invalid(
                Code.INPUT_TOO_LARGE, name, f"{size} bytes; at most {most}", size=size, limit=most
            )

    def token_ids(
        self, values: Mapping[str, Any], *, step: Callable[[str], None] = lambda field: None
    ) -> list[int]:
        """Return the ids of ``messages`` (with ``tools``, ``enable_thinking``,
        ``continue_final_message``) or of ``text`` (``add_bos``). Raises INVALID_ARGUMENT."""
        for name in ("text", "messages", "tools"):
            self.check_size(name, values.get(name, ""))
        if "messages" in values:
            return self.chat_ids(values, step=step)
        step("text")
        return self.text_ids(values["text"], field="text", add_bos=values.get("add_bos", True))

    def text_ids(self, text: str, *, field: str = "text_input", add_bos: bool = True) -> list[int]:
        """Return the ids of a prompt that the caller rendered. INVALID_ARGUMENT names ``field``."""
        if not text:
            raise invalid(Code.MISSING_INPUT, field, "is empty")
        self._check_fits(field, len(text.encode()))
        return self._tokenizer.encode_raw(text, field, add_bos=add_bos)

    def _known_ids(self, ids: list[int]) -> list[int]:
        """Return a prompt that the caller tokenized, checked."""
        field = "prompt_token_ids"
        if not ids:
            raise invalid(Code.MISSING_INPUT, field, "is empty")
        self._check_tokens(field, ids)
        self._tokenizer.check_ids(ids, field)
        return ids

    def _check_tokens(self, field: str, ids: list[int]) -> None:
        if len(ids) > self.limits.max_prompt_tokens:
            raise invalid(
                Code.PROMPT_TOO_LONG,
                field,
                f"the prompt is too long: {len(ids)} tokens; the engine takes prompts of at most "
                f"{self.limits.max_prompt_tokens}; shorten it",
                tokens=len(ids),
                limit=self.limits.max_prompt_tokens,
            )

    def chat_ids(
        self, values: Mapping[str, Any], *, step: Callable[[str], None] = lambda field: None
    ) -> list[int]:
        """Return the ids of ``messages`` (and ``tools``, ``enable_thinking``), rendered up to the
        model's turn, or with ``continue_final_message`` up to the end of the last."""
        return self._chat(values, step)[0]

    def _chat(
        self, values: Mapping[str, Any], step: Callable[[str], None]
    ) -> tuple[list[int], list[str]]:
        """Return the ids, and the names of the tools."""
        guard = self._tokenizer.guard
        tools: list[dict[str, Any]] = []
        if "tools" in values:
            step("tools")
            tools = parse_tools(values["tools"], self.limits, guard)
        step("messages")
        continued = values.get("continue_final_message", False)
        messages = parse_messages(values["messages"], self.limits, guard, continued=continued)
        self._check_fits("messages", sum(map(_bytes_of, messages)))
        thinking = values.get("enable_thinking", False)
        rendered = self.render(messages, tools, thinking=thinking, continued=continued)
        called = [tool["function"]["name"] for tool in tools]
        return self._tokenizer.encode_rendered(rendered), called

    def render(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        *,
        thinking: bool = False,
        continued: bool = False,
    ) -> str:
        """Render parsed messages. INVALID_ARGUMENT when the template objects."""
        return self._template.render(messages, tools or [], thinking=thinking, continued=continued)

    def _check_fits(self, field: str, size: int) -> None:
        """Refuse text that cannot fit. No token is longer than the longest, so this refuses nothing
        that fits."""
        if size > self._most_prompt_bytes:
            raise invalid(
                Code.PROMPT_TOO_LONG,
                field,
                f"the prompt is too long: {size} bytes of text; the engine takes prompts of at "
                f"most {self.limits.max_prompt_tokens} tokens, which hold at most "
                f"{self._most_prompt_bytes} bytes; shorten it",
                bytes=size,
                limit=self.limits.max_prompt_tokens,
            )

    def _thought(self, values: Mapping[str, Any], ids: list[int]) -> Literal["none", "may", "open"]:
        """Say whether a thought comes before the answer. A prompt that the caller rendered asks for
        it with ``<|think|>``, and ends with an empty thought where none shall come."""
        if self._in_thought(ids):
            return "open"
        control = self._tokenizer.control
        if values.get("continue_final_message", False):
            return "none"  # its text has begun
        if "messages" in values:
            thinking = values.get("enable_thinking", False)
        else:
            thinking = control["<|think|>"] in ids and ids[-1] != control["<channel|>"]
        return "may" if thinking else "none"

    def _in_thought(self, ids: list[int]) -> bool:
        control = self._tokenizer.control
        opened, closed = control["<|channel>"], control["<channel|>"]
        for token in reversed(ids):
            if token in (opened, closed):
                return token == opened
        return False


def _bytes_of(message: Mapping[str, Any]) -> int:
    """Return the bytes of the text that every template keeps: what a user or a system says, without
    the white space around each part."""
    if message["role"] not in ("user", "system", "developer"):
        return 0
    content = message["content"]
    texts = [content] if isinstance(content, str) else [part["text"] for part in content]
    return sum(len(text.replace(GUARD, "").strip().encode()) for text in texts)
