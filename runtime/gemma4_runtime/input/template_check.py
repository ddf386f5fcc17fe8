"""Render a chat template where it can be stopped: ``python -m ... FILE CPU_SECONDS``.

A template is a program. One that loops forever, or that Jinja evaluates forever while compiling
it, must fail a start or a build with a clear error and not hang it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2

from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.strict_json import read_file

__all__ = ["CPU_S", "MAX_TEMPLATE", "TemplateError", "check_template", "sample_renderings"]

CPU_S = 10
"""A published template needs 0.02 s."""
MAX_TEMPLATE = 4 << 20
"""Bytes of a template; the published one has 17 kB."""
MEMORY_BYTES = 1 << 30
"""Bytes that rendering may take beyond what the process has at its start."""
_LONGEST_S = 60.0
"""Seconds that it may take on a busy machine; the limit is on CPU time."""
_MOST_SAMPLE = 64 << 10
"""Characters of a rendered sample that are shown."""

_USER = {"role": "user", "content": "What is the weather in Paris?"}
_TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello! How can I help?"},
    _USER,
]
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Its name."}},
            "required": ["city"],
        },
    },
}
_ASKED: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": {"city": "Paris"}},
        }
    ],
}
_ANSWERED: dict[str, Any] = {
    "role": "tool", "tool_call_id": "c1", "name": "weather", "content": "sunny",
}  # fmt: skip
_SAMPLES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], bool]] = {
    "one question": ([_USER], [], False),
    "a conversation": (_TALK, [], False),
    "with thinking": (_TALK, [], True),
    "with a tool": ([_USER], [_TOOL], False),
    "after a tool's answer": ([_USER, _ASKED, _ANSWERED], [_TOOL], False),
}
"""Name -> messages, tools, thinking."""


class TemplateError(Exception):
    """The template cannot be used; the message says why and what to do."""


def check_template(path: Path, *, cpu_s: int = CPU_S, named: Path | None = None) -> None:
    """Compile it and render chats in a process of its own. Raises :class:`TemplateError`, whose
    message says ``named`` instead of ``path``."""
    sample_renderings(path, cpu_s=cpu_s, named=named)


def sample_renderings(
    path: Path, *, cpu_s: int = CPU_S, named: Path | None = None
) -> dict[str, str]:
    """Return name of a sample chat -> its prompt, or ``(refused: why)``; as
    :func:`check_template`."""
    named = named or path
    try:
        read_file(path, most=MAX_TEMPLATE).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(
            f"{named}: cannot be read ({error}); it must be a text file in UTF-8"
        ) from None
    command = [sys.executable, "-m", __name__, str(path), str(cpu_s)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LONGEST_S,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TemplateError(_bad(named, f"took more than {_LONGEST_S:.0f} s")) from None
    if done.returncode == 0:
        samples: dict[str, str] = json.loads(done.stdout)
        return samples
    if done.returncode < 0:
        why = f"took more than {cpu_s} s of work or {MEMORY_BYTES >> 30} GiB of memory"
    else:
        why = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "failed"
    raise TemplateError(_bad(named, why))


def _bad(path: Path, why: str) -> str:
    return (
        f"{path}: rendering a short chat: {why}; correct the template and build again, or replace "
        "an engine's with `gemma4 template`"
    )


def _main(path: Path, cpu_s: int) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES,) * 2)
    try:
        template = ChatTemplate(path)
        samples = {name: _render(template, name) for name in _SAMPLES}
        print(json.dumps(samples))
    except MemoryError:
        print(f"needs more than {MEMORY_BYTES >> 30} GiB of memory", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever a template does
        print(f"{type(error).__name__}: {error}".splitlines()[0][:500], file=sys.stderr)
        return 1
    return 0


def _render(template: ChatTemplate, name: str) -> str:
    """Render samples. A template may refuse system messages, and may know no tools."""
    messages, tools, thinking = _SAMPLES[name]
    try:
        return template.compose(messages, tools, thinking=thinking)[:_MOST_SAMPLE]
    except MemoryError:
        raise
    except Exception as error:
        refuses = isinstance(error, jinja2.TemplateError) and messages[0]["role"] == "system"
        if not (refuses or tools):
            raise
        return f"(refused: {type(error).__name__}: {error})"[:500]


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), int(sys.argv[2])))
