"""The added tokens of tokenizer.json: control tokens, and strings that are ordinary text.

A tokenizer lists strings of any kind there: ``add_tokens()`` of a fine-tune, runs of line breaks,
HTML tags. Those that are not ``special`` are text: whoever types one gets its id, and it is shown.
Gemma 4's own markers steer prompt and parser, and are control tokens whatever the flag says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["TURN_MARKERS", "is_control", "split_added"]

TURN_MARKERS = frozenset((
    "<bos>", "<eos>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
    "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>",
))  # fmt: skip
"""What a caller who renders prompts himself may write in ``text_input``."""
_PLACEHOLDERS = frozenset((
    "<pad>", "<unk>", "<mask>", "<|image>", "<|image|>", "<image|>", "<|audio>", "<|audio|>",
    "<audio|>", "<|video|>",
))  # fmt: skip
"""What only a server may set."""


def is_control(content: str, *, special: bool) -> bool:
    """Return whether an added token is a control token."""
    return special or content in TURN_MARKERS or content in _PLACEHOLDERS


def split_added(
    entries: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, int], list[Mapping[str, Any]]]:
    """Split ``added_tokens`` into control tokens as content -> id, and the entries that are text.
    Raises :class:`ValueError` for text that contains a control token: it could not be told from
    one."""
    control: dict[str, int] = {}
    text = []
    for entry in entries:
        if is_control(entry["content"], special=entry.get("special", False)):
            control[entry["content"]] = int(entry["id"])
        else:
            text.append(entry)
    for entry in text:
        inside = next((literal for literal in control if literal in entry["content"]), None)
        if inside is not None:
            raise ValueError(
                f"added_tokens: {entry['content']!r} is ordinary text and contains the control "
                f"token {inside}; it must be special, or go"
            )
    return control, text
