"""``gemma4 chat``."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Annotated, Any

import typer
from gemma4_client import Client, Gemma4Error, InvalidRequestError, Stream
from rich.console import Console

from gemma4_cli.fail import fail

__all__ = ["chat"]

_HELP = "/think on|off, /system TEXT, /new, /help, /quit. Ctrl-C stops an answer."


def chat(
    url: Annotated[str, typer.Option(help="host:port of the server's gRPC service.")] = "",
    once: Annotated[str | None, typer.Option(help="Ask this, print the answer, and end.")] = None,
    system: Annotated[str, typer.Option(help="System message.")] = "",
    think: Annotated[bool, typer.Option(help="Let the model think first.")] = False,
    temperature: Annotated[float | None, typer.Option(min=0.0)] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    timeout: Annotated[float | None, typer.Option(min=0.001, help="Seconds for an answer.")] = None,
) -> None:
    """Talk to a server in the terminal."""
    address = url or f"127.0.0.1:{os.environ.get('GRPC_PORT', '8001')}"
    options: dict[str, Any] = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "random_seed": seed,
        "timeout": timeout,
    }
    with Client(address) as client:
        session = _Session(client, options, system=system, think=think)
        if once is not None:
            session.ask_once(once)
        else:
            session.loop()


class _Session:
    def __init__(
        self, client: Client, options: dict[str, Any], *, system: str, think: bool
    ) -> None:
        self._client = client
        self._options = options
        self._system = system
        self._think = think
        self._history: list[dict[str, Any]] = []
        self._console = Console(highlight=False, soft_wrap=True)

    def ask_once(self, text: str) -> None:
        try:
            self._answer(text)
        except Gemma4Error as error:
            fail(_explain(error, self._client.url), code=2 if _is_input(error) else 1)
        except KeyboardInterrupt:
            fail("stopped", code=130)

    def loop(self) -> None:
        self._console.print(f"[dim]{_HELP}[/dim]")
        while True:
            try:
                text = self._console.input("[bold]> [/bold]").strip()
            except (EOFError, KeyboardInterrupt):
                self._console.print()
                return
            if text.startswith("/"):
                if not self._command(text):
                    return
            elif text:
                self._turn(text)

    def _command(self, text: str) -> bool:
        verb, _, rest = text.partition(" ")
        if verb in ("/quit", "/exit"):
            return False
        if verb == "/new":
            self._history.clear()
        elif verb == "/think" and rest in ("on", "off"):
            self._think = rest == "on"
        elif verb == "/system":
            self._system = rest
        else:
            self._console.print(f"[dim]{_HELP}[/dim]")
        return True

    def _turn(self, text: str) -> None:
        try:
            self._answer(text)
        except Gemma4Error as error:
            self._console.print(f"[red]{_explain(error, self._client.url)}[/red]", markup=True)
        except KeyboardInterrupt:
            self._console.print(" [dim](stopped)[/dim]")

    def _answer(self, text: str) -> None:
        asked = {"role": "user", "content": text}
        system = [{"role": "system", "content": self._system}] if self._system else []
        messages = [*system, *self._history, asked]
        started = time.monotonic()
        with self._client.chat(messages, enable_thinking=self._think, **self._options) as stream:
            first = self._print(stream)
        answer = stream.answer
        self._history += [asked, {"role": "assistant", "content": answer.text}]
        if sys.stdout.isatty():
            took = time.monotonic() - started
            self._console.print(
                f"[dim]{answer.completion_tokens} tokens, first after "
                f"{(first - started) * 1000:.0f} ms, {answer.completion_tokens / took:.0f} tokens/s"
                f"{', ' + answer.finish_reason if answer.finish_reason != 'stop' else ''}[/dim]"
            )

    def _print(self, stream: Stream) -> float:
        """Print deltas as they come; returns when the first came."""
        first, thinking = 0.0, False
        for delta in stream:
            first = first or time.monotonic()
            if delta.reasoning:
                thinking = True
                self._console.print(delta.reasoning, end="", style="dim", markup=False)
            if delta.text:
                if thinking:
                    self._console.print("\n")
                    thinking = False
                self._console.print(delta.text, end="", markup=False)
            for call in delta.tool_calls:
                self._console.print(json.dumps(call["function"], ensure_ascii=False), markup=False)
            self._console.file.flush()
        self._console.print()
        return first


def _is_input(error: Gemma4Error) -> bool:
    return isinstance(error, InvalidRequestError)


def _explain(error: Gemma4Error, url: str) -> str:
    message = str(error)
    if "onnect" in message:
        return f"no server at {url}; start one with `gemma4 serve`, or give its --url ({message})"
    return message
