"""The chat template of a checkpoint."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.input.text import GUARD

__all__ = ["ChatTemplate"]

_PROBE = [{"role": "user", "content": "a"}]
_AS_PYTHON = "'type': 'text'"
"""A template that knows no lists of parts prints Python's form of them."""
_HERE = GUARD + GUARD
"""Marks the end of the text that shall be continued; no guarded text contains it."""


class ChatTemplate:
    """The template file, rendered as transformers renders it (same Jinja environment). Nothing is
    kept from one rendering to the next."""

    def __init__(self, path: Path) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
            # Computes nothing, such as 10**9, while it compiles: nothing limits it then.
            optimized=False,
            finalize=_at_run_time,
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._template = environment.from_string(path.read_text(encoding="utf-8"))

    def render(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        *,
        thinking: bool,
        continued: bool = False,
    ) -> str:
        """Do as :meth:`compose`, or with ``continued`` as :meth:`compose_continued`.
        INVALID_ARGUMENT when the template fails, in whatever way."""
        compose = self.compose_continued if continued else self.compose
        try:
            return compose(messages, tools, thinking=thinking)
        except MemoryError:
            raise
        except TemplateError as error:
            raise invalid(
                Code.TEMPLATE_REFUSED, "messages", f"the chat template refuses them: {error}"
            ) from None
        except Exception as error:  # noqa: BLE001 - a template is a program
            raise invalid(
                Code.TEMPLATE_REFUSED,
                "messages",
                f"the chat template fails on them: {type(error).__name__}: {error}; change the "
                "messages or tools, or have the template corrected",
            ) from None

    def compose(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], *, thinking: bool
    ) -> str:
        """Return the prompt up to and into the model's turn. Content may be a list of text parts; a
        template that knows only strings gets the joined text. A template that leaves no turn of the
        model open gets one, in its own words. Raises whatever the template raises."""
        rendered = self._rendered(messages, tools, thinking)
        if rendered.rfind("<turn|>") > rendered.rfind("<|turn>"):
            rendered += self._opening(thinking)
        return rendered

    def compose_continued(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], *, thinking: bool
    ) -> str:
        """Return the prompt up to the end of the last message, which has text. White space at its
        end stays where the template keeps it. Raises whatever the template raises."""
        *earlier, last = messages
        content = last["content"]
        if isinstance(content, str):
            marked: Any = content + _HERE + " "
        else:
            marked = [*content[:-1], content[-1] | {"text": content[-1]["text"] + _HERE + " "}]
        rendered = self._rendered(
            [*earlier, last | {"content": marked}], tools, thinking, opened=False
        )
        prompt, found, rest = rendered.rpartition(_HERE)
        if not found:
            raise TemplateError("it leaves out the last message, so nothing can continue that")
        return prompt if rest.startswith(" ") else prompt.rstrip()

    def _rendered(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        thinking: bool,
        *,
        opened: bool = True,
    ) -> str:
        """Render with parts if the template knows them."""
        plain = _joined(messages)
        if plain != messages:
            rendered = self._with_parts(messages, tools, thinking, opened=opened)
            if rendered is not None:
                return rendered
        return self._render(plain, tools, thinking, opened=opened)

    def _with_parts(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        thinking: bool,
        *,
        opened: bool,
    ) -> str | None:
        """Render with parts; None when the template knows no lists of parts."""
        try:
            rendered = self._render(messages, tools, thinking, opened=opened)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - the joined text is tried next, and tells what is wrong
            return None
        return None if _AS_PYTHON in rendered else rendered

    def _opening(self, thinking: bool) -> str:
        """Return what the template writes to open the model's turn. Empty if it cannot be told."""
        closed = self._render(_PROBE, [], thinking, opened=False)
        opened = self._render(_PROBE, [], thinking)
        return opened.removeprefix(closed) if opened.startswith(closed) else ""

    def _render(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        thinking: bool,
        *,
        opened: bool = True,
    ) -> str:
        return self._template.render(
            messages=messages,
            tools=tools or None,
            enable_thinking=thinking,
            add_generation_prompt=opened,
            bos_token="<bos>",
        )


class _Generation(Extension):
    """``{% generation %}`` marks for training what the model said. The text is kept."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _joined(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        message | {"content": "".join(part["text"] for part in message["content"])}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


@pass_context
def _at_run_time(context: Context, value: Any) -> Any:
    """Stand for a value of run time. It needs the context, so that the compiler cannot call it for
    a constant."""
    return value


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
