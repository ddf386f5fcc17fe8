"""What one request may ask for. Checked before any work is spent on it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are UTF-8 bytes, the rest counts.

    ``max_prompt_tokens`` and ``max_total_tokens`` (prompt and output) come from the engine folder.
    Eight bytes for a prompt token is more than any text needs that fits.
    """

    max_prompt_tokens: int
    max_total_tokens: int
    max_text_bytes: int = 1024 * _KIB
    max_messages: int = 1024
    max_tools: int = 128
    max_tools_bytes: int = 256 * _KIB
    max_stop_words: int = 16
    max_stop_word_bytes: int = 256
    max_bad_words: int = 256
    max_guide_bytes: int = 64 * _KIB
    max_json_depth: int = 64
    max_timeout_ms: int = 24 * 3600 * 1000
