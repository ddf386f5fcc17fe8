"""What one request may ask for. Checked before any work is spent on it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MOST_BIAS", "Limits"]

MOST_BIAS = 100.0
"""The most that is added to a logit or taken from it, as in OpenAI's API: enough to ban a token, or
to leave no other."""

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are UTF-8 bytes, the rest counts.

    ``max_prompt_tokens`` and ``max_total_tokens`` (prompt and output) come from the engine folder.
    ``max_json_values`` counts the values of ``messages`` or ``tools``, ``max_guide_values`` those
    of a JSON schema that guides the output. Honest ones are far below: 128 tools of 100 values each
    are 12,800. ``max_messages`` is at most a quarter of the prompt's tokens: a turn has at least
    five (its two markers, its role and two line breaks).
    """

    max_prompt_tokens: int
    max_total_tokens: int
    max_text_bytes: int = 1024 * _KIB
    most_messages: int = 1024
    max_tools: int = 128
    max_tools_bytes: int = 256 * _KIB
    max_stop_words: int = 16
    max_stop_word_bytes: int = 256
    max_bad_words: int = 256
    max_logit_bias: int = 1024
    max_guide_bytes: int = 64 * _KIB
    max_json_depth: int = 64
    max_json_values: int = 20_000
    max_guide_values: int = 10_000
    max_timeout_ms: int = 24 * 3600 * 1000

    @property
    def max_messages(self) -> int:
        return min(self.most_messages, max(self.max_prompt_tokens // 4, 1))
