"""Tokenize a prompt in which only the template's own control tokens are control tokens.

A user who types ``<|turn>`` gets the characters ``<|turn>``. Before rendering, every control
literal inside user text gets a guard character after its first character; the rendered prompt is
then split at the literals that are left, which are the template's, and the rest is tokenized by a
tokenizer that knows no control tokens.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from gemma4_runtime.errors import invalid

__all__ = ["GUARD", "PromptTokenizer", "guard_seam", "without_thoughts"]

GUARD = "\ufdd0"
"""A Unicode noncharacter, reserved for internal use and never text (Unicode 15, 23.7)."""

_BOS = "<bos>"
_SPACE = "\u2581"
"""How the vocabulary writes a space."""
_TURN_MARKERS = (
    "<bos>", "<eos>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>",
    "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>",
)  # fmt: skip
"""What a caller who renders prompts himself may write in ``text_input``."""


class PromptTokenizer:
    """The checkpoint's tokenizer in two halves: control literals and plain text."""

    def __init__(self, tokenizer_json: Path) -> None:
        data = json.loads(tokenizer_json.read_text(encoding="utf-8"))
        added: list[dict[str, Any]] = data["added_tokens"]
        self.control = {entry["content"]: int(entry["id"]) for entry in added}
        vocab: dict[str, int] = data["model"]["vocab"]
        self.vocab_size = 1 + max(*vocab.values(), *self.control.values())
        texts = (*vocab, *self.control)
        self.longest = max(len(text.replace(_SPACE, " ").encode()) for text in texts)
        """Of any token, in bytes."""
        data["added_tokens"] = []
        data["post_processor"] = None
        self._plain = Tokenizer.from_str(json.dumps(data))
        literals = sorted(self.control, key=len, reverse=True)
        self._literal = re.compile("|".join(map(re.escape, literals)))

    def guard(self, text: str, field: str) -> str:
        """Make control literals in user text inert. Raises INVALID_ARGUMENT for the guard
        character itself."""
        if GUARD in text:
            raise invalid(field, "contains U+FDD0, a Unicode noncharacter; remove it")
        return self._literal.sub(lambda m: m[0][0] + GUARD + m[0][1:], text)

    def encode_rendered(self, rendered: str) -> list[int]:
        """Ids of a rendered prompt whose user text was guarded."""
        ids: list[int] = []
        at = 0
        for match in self._literal.finditer(rendered):
            ids += self._encode(rendered[at : match.start()])
            ids.append(self.control[match[0]])
            at = match.end()
        return ids + self._encode(rendered[at:])

    def encode_raw(self, text: str, field: str, *, add_bos: bool = True) -> list[int]:
        """Ids of a prompt that the caller rendered: turn, channel and tool markers are control
        tokens, BOS is put first once (``add_bos``), and any other control literal is refused."""
        for match in self._literal.finditer(text):
            if match[0] not in _TURN_MARKERS:
                raise invalid(
                    field,
                    f"contains the placeholder token {match[0]}, which only the server may set; "
                    "remove it, or send the text in `messages`, where it is plain text",
                )
        ids = self.encode_rendered(text)
        bos = self.control[_BOS]
        return [bos, *ids] if add_bos and ids[:1] != [bos] else ids

    def encode_plain(self, text: str) -> list[int]:
        """Ids of text in which nothing is a control token."""
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        if not text:
            return []
        ids: list[int] = self._plain.encode(text.replace(GUARD, ""), add_special_tokens=False).ids
        return ids


def guard_seam(text: str) -> str:
    """``text`` that a template writes behind other guarded text: no control literal arises where
    they meet, whether white space is trimmed or not."""
    kept = text.lstrip()
    return text[: len(text) - len(kept)] + GUARD + kept if kept else text


def without_thoughts(text: str) -> str:
    """What an earlier answer said, without the thoughts that another server left in it:
    ``<|channel>...<channel|>``, and ``<|channel>thought`` that nothing closes. Other markers stay,
    as text."""
    *closed, rest = text.split("<channel|>")
    kept = []
    for piece in closed:
        said, opened, _ = piece.partition("<|channel>")
        kept.append(said if opened else piece + "<channel|>")
    return "".join(kept) + re.split(r"<\|channel>thought\b", rest, maxsplit=1)[0]
