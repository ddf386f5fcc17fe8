"""``gemma4 chat``: talk to a server in the terminal, or in a pipe."""

from gemma4_cli.chat.command import chat

__all__ = ["chat"]
