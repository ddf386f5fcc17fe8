"""The chat template of a checkpoint."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gemma4_runtime.errors import invalid

__all__ = ["ChatTemplate"]


class ChatTemplate:
    """The template file, rendered as transformers renders it (same Jinja environment)."""

    def __init__(self, path: Path) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols"],
            # Computes nothing, such as 10**9, while it compiles: nothing limits it then.
            optimized=False,
            finalize=_at_run_time,
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._template = environment.from_string(path.read_text(encoding="utf-8"))

    def render(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], *, thinking: bool
    ) -> str:
        """The prompt up to the model's turn. INVALID_ARGUMENT when the template objects."""
        try:
            return self._template.render(
                messages=messages,
                tools=tools or None,
                enable_thinking=thinking,
                add_generation_prompt=True,
                bos_token="<bos>",
            )
        except TemplateError as error:
            raise invalid("messages", f"the chat template refuses them: {error}") from None


@pass_context
def _at_run_time(context: Context, value: Any) -> Any:
    """Needs the context, so that the compiler cannot call it for a constant."""
    return value


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
