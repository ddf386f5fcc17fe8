"""What starts with a slash. No terminal, no network."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from gemma4_cli.chat.question import QUOTES
from gemma4_cli.chat.session import Session

__all__ = ["COMMANDS", "Reply", "is_command", "run_command"]

_NAME = re.compile(r"/[a-z]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """``text`` to show; a ``question`` to ask again; whether to ``leave``."""

    text: str = ""
    question: str | None = None
    leave: bool = False
    stats: bool = False
    """Show what the server says of itself, too."""


def _system(session: Session, rest: str) -> Reply:
    if not rest:
        return Reply(f"system: {session.system or '(none)'}; /system none removes it")
    session.system = "" if rest == "none" else rest
    return Reply("system message set" if session.system else "no system message")


def _thinking(session: Session, rest: str) -> Reply:
    if rest not in ("", "on", "off"):
        return Reply(f"/thinking {rest}: use on or off")
    session.thinking = not session.thinking if rest == "" else rest == "on"
    return Reply(f"thinking is {'on' if session.thinking else 'off'}")


def _save(session: Session, rest: str) -> Reply:
    if not rest:
        return Reply("/save needs a file name")
    try:
        session.save(Path(rest).expanduser())
    except OSError as error:
        return Reply(f"cannot write {rest}: {error.strerror}")
    return Reply(f"saved {len(session.turns)} messages to {rest}")


def _load(session: Session, rest: str) -> Reply:
    if not rest:
        return Reply("/load needs a file name")
    try:
        session.load(Path(rest).expanduser())
    except OSError as error:
        return Reply(f"cannot read {rest}: {error.strerror}")
    except ValueError as error:
        return Reply(str(error))
    return Reply(f"loaded {len(session.turns)} messages from {rest}")


def _stats(session: Session, rest: str) -> Reply:
    totals = session.totals
    if not totals.answers:
        return Reply("no answers yet", stats=True)
    lines = [
        f"{totals.answers} answers, {totals.prompt_tokens} prompt tokens, "
        f"{totals.completion_tokens} answered"
    ]
    if totals.first_s:
        lines.append(f"first token after {median(totals.first_s) * 1000:.0f} ms (median)")
    if totals.decode_s:
        lines.append(f"{totals.completion_tokens / totals.decode_s:.0f} tokens/s")
    return Reply("\n".join(lines), stats=True)


def _retry(session: Session, rest: str) -> Reply:
    question = session.take_back()
    return Reply("nothing to ask again") if question is None else Reply(question=question)


def _reset(session: Session, rest: str) -> Reply:
    session.turns.clear()
    return Reply("a new conversation; the system message stays")


def _help(session: Session, rest: str) -> Reply:
    width = max(len(usage) for usage, _, _ in COMMANDS.values())
    lines = [f"{usage:{width}}  {what}" for usage, what, _ in COMMANDS.values()]
    lines += [
        "Ctrl-C stops an answer, twice it leaves; Ctrl-D leaves.",
        f"Alt-Enter, or \\ at its end, begins another line; {QUOTES} begins and ends a block.",
    ]
    return Reply("\n".join(lines))


def _quit(session: Session, rest: str) -> Reply:
    return Reply(leave=True)


COMMANDS: dict[str, tuple[str, str, Callable[[Session, str], Reply]]] = {
    "/system": ("/system TEXT", "set the system message; none removes it", _system),
    "/thinking": ("/thinking on|off", "let the model think first", _thinking),
    "/retry": ("/retry", "ask the last question again", _retry),
    "/reset": ("/reset", "forget the conversation", _reset),
    "/save": ("/save FILE", "write the conversation as JSON", _save),
    "/load": ("/load FILE", "read one", _load),
    "/stats": ("/stats", "tokens, times, the server", _stats),
    "/help": ("/help", "this", _help),
    "/quit": ("/quit", "leave", _quit),
}
"""Usage, what it does, and the function, by name."""


def is_command(text: str) -> bool:
    """Return whether ``text`` is a command, not a question: it begins with the name of one, or is
    one line that looks like that. A path or a pasted comment is a question."""
    verb = text.partition(" ")[0]
    if verb in COMMANDS or verb == "/exit":
        return True
    return "\n" not in text and _NAME.fullmatch(verb) is not None


def run_command(session: Session, line: str) -> Reply:
    """Carry out ``line``, which starts with a slash."""
    verb, _, rest = line.partition(" ")
    if verb == "/exit":
        verb = "/quit"
    if verb not in COMMANDS:
        close = difflib.get_close_matches(verb, COMMANDS, n=1)
        return Reply(f"{verb}: no such command; {f'{close[0]}?' if close else '/help lists them'}")
    return COMMANDS[verb][2](session, rest.strip())
