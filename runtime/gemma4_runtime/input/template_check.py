"""Render a chat template once, where it can be stopped: ``python -m ... FILE``.

A template is a program. One that loops for ever, or that Jinja evaluates for ever while compiling
it, must fail a start or a build with a clear error and not hang it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import jinja2

from gemma4_runtime.input.chat_template import ChatTemplate

__all__ = ["TemplateError", "check_template"]

CPU_S = 10
"""A published template needs 0.02 s."""
MEMORY_BYTES = 1 << 30
_LONGEST_S = 60.0
_CHATS = (
    ([{"role": "user", "content": "a"}], False),
    (
        [
            {"role": "system", "content": "a"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "a"},
        ],
        True,
    ),
)


class TemplateError(Exception):
    """The template cannot be used; the message says why and what to do."""


def check_template(path: Path, *, cpu_s: int = CPU_S) -> None:
    """Compile it and render two chats in a process of its own. Raises :class:`TemplateError`."""
    command = [sys.executable, "-m", __name__, str(path), str(cpu_s)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_S,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TemplateError(_bad(path, f"took more than {_LONGEST_S:.0f} s")) from None
    if done.returncode == 0:
        return
    if done.returncode < 0:
        why = f"took more than {cpu_s} s of work or {MEMORY_BYTES >> 30} GiB of memory"
    else:
        why = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "failed"
    raise TemplateError(_bad(path, why))


def _bad(path: Path, why: str) -> str:
    return f"{path}: rendering a chat of two messages: {why}; correct the template and build again"


def _main(path: Path, cpu_s: int) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES,) * 2)
    try:
        template = ChatTemplate(path)
        for messages, thinking in _CHATS:
            try:
                template.compose(messages, [], thinking=thinking)
            except jinja2.TemplateError:
                if messages[0]["role"] == "user":  # a template may know no system messages
                    raise
    except MemoryError:
        print(f"needs more than {MEMORY_BYTES >> 30} GiB of memory", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever a template does
        print(f"{type(error).__name__}: {error}".splitlines()[0][:500], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), int(sys.argv[2])))
