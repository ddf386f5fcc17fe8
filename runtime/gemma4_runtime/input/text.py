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

from gemma4_runtime.added_tokens import TURN_MARKERS, split_added
from gemma4_runtime.errors import Code, invalid

__all__ = ["GUARD", "PromptTokenizer", "guard_seam", "without_thoughts"]

GUARD = "\ufdd0"
"""A Unicode noncharacter, reserved for internal use and never text (Unicode 15, 23.7)."""

_BOS = "<bos>"
_SPACE = "\u2581"
"""How the vocabulary writes a space."""
_CACHED_TEXTS = 1_000
"""Texts of up to 256 bytes whose ids the tokenizers library keeps, in up to 5 KB each. It forgets
none, so more would be memory that users fill: 53 MB with its own default of 10,000."""


class PromptTokenizer:
    """The checkpoint's tokenizer in two halves: control literals and plain text."""

    def __init__(self, tokenizer_json: Path) -> None:
        data = json.loads(tokenizer_json.read_text(encoding="utf-8"))
        self.control, text = split_added(data["added_tokens"])
        ids: dict[str, int] = data["model"]["vocab"] | self.control
        ids |= {entry["content"]: entry["id"] for entry in text}
        self.vocab_size = 1 + max(ids.values())
        self.longest = max(len(token.replace(_SPACE, " ").encode()) for token in ids)
        """Of any token, in bytes."""
        self._plain = _plain(data, set(self.control))
        for entry in text:
            if self._plain.token_to_id(entry["content"]) != entry["id"]:
                raise ValueError(
                    f"{tokenizer_json}: added_tokens: {entry['content']!r} has id {entry['id']}, "
                    f"the tokenizers library gives it {self._plain.token_to_id(entry['content'])}"
                )
        self._reserved = {
            token: literal for literal, token in self.control.items() if literal not in TURN_MARKERS
        }
        literals = sorted(self.control, key=len, reverse=True)
        self._literal = re.compile("|".join(map(re.escape, literals)))

    def guard(self, text: str, field: str) -> str:
        """Make control literals in user text inert. Raises INVALID_ARGUMENT for the guard
        character itself."""
        if GUARD in text:
            raise invalid(
                Code.INVALID_TEXT, field, "contains U+FDD0, a Unicode noncharacter; remove it"
            )
        return self._literal.sub(lambda m: m[0][0] + GUARD + m[0][1:], text)

    def encode_rendered(self, rendered: str) -> list[int]:
        """Return the ids of a rendered prompt whose user text was guarded."""
        ids: list[int] = []
        at = 0
        for match in self._literal.finditer(rendered):
            ids += self._encode(rendered[at : match.start()])
            ids.append(self.control[match[0]])
            at = match.end()
        return ids + self._encode(rendered[at:])

    def encode_raw(self, text: str, field: str, *, add_bos: bool = True) -> list[int]:
        """Return the ids of a prompt that the caller rendered: turn, channel and tool markers are
        control tokens, BOS is put first once (``add_bos``), and any other control literal is
        refused."""
        for match in self._literal.finditer(text):
            if match[0] not in TURN_MARKERS:
                raise invalid(
                    Code.RESERVED_INPUT,
                    field,
                    f"contains the placeholder token {match[0]}, which only the server may set; "
                    "remove it, or send the text in `messages`, where it is plain text",
                )
        ids = self.encode_rendered(text)
        bos = self.control[_BOS]
        return [bos, *ids] if add_bos and ids[:1] != [bos] else ids

    def check_ids(self, ids: list[int], field: str) -> None:
        """Check a prompt that the caller tokenized: its ids are in the vocabulary, and control
        tokens among them are those that :meth:`encode_raw` takes. Raises INVALID_ARGUMENT."""
        if min(ids) < 0 or max(ids) >= self.vocab_size:
            at = next(i for i, token in enumerate(ids) if not 0 <= token < self.vocab_size)
            raise invalid(
                Code.OUT_OF_RANGE,
                f"{field}[{at}]",
                f"{ids[at]} is not in 0 to {self.vocab_size - 1}",
                least=0,
                most=self.vocab_size - 1,
            )
        found = self._reserved.keys() & set(ids)
        if found:
            at = next(i for i, token in enumerate(ids) if token in found)
            raise invalid(
                Code.RESERVED_INPUT,
                f"{field}[{at}]",
                f"{ids[at]} is the placeholder token {self._reserved[ids[at]]}, which only the "
                "server may set; remove it",
            )

    def encode_plain(self, text: str) -> list[int]:
        """Return the ids of text in which nothing is a control token."""
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        if not text:
            return []
        ids: list[int] = self._plain.encode(text.replace(GUARD, ""), add_special_tokens=False).ids
        return ids


def _plain(data: dict[str, Any], control: set[str]) -> Tokenizer:
    """Return a tokenizer without these control tokens."""
    vocab = data["model"]["vocab"]
    added = []
    for entry in data["added_tokens"]:
        if entry["content"] not in control:
            added.append(entry)
        elif entry["content"] not in vocab:
            # It keeps its id from the tokens behind it, and no text contains it.
            added.append(entry | {"content": GUARD + entry["content"]})
    data = data | {"added_tokens": added, "post_processor": None}
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.model._resize_cache(_CACHED_TEXTS)
    return tokenizer


def guard_seam(text: str) -> str:
    """Guard ``text`` that a template writes behind other guarded text: no control literal arises
    where they meet, whether white space is trimmed or not."""
    kept = text.lstrip()
    return text[: len(text) - len(kept)] + GUARD + kept if kept else text


def without_thoughts(text: str) -> str:
    """Return what an earlier answer said, without the thoughts that another server left in it:
    ``<|channel>...<channel|>``, and ``<|channel>thought`` that nothing closes. Other markers stay,
    as text."""
    *closed, rest = text.split("<channel|>")
    kept = []
    for piece in closed:
        said, opened, _ = piece.partition("<|channel>")
        kept.append(said if opened else piece + "<channel|>")
    return "".join(kept) + re.split(r"<\|channel>thought\b", rest, maxsplit=1)[0]
