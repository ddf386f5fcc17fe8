"""A request of the models' access log, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemma4_runtime.logs.text import shown_id

__all__ = ["request_words"]


def request_words(fields: Mapping[str, Any]) -> str | None:
    """Return what a person wants to know of a request that ended; None where the fields are not
    those of :class:`~gemma4_runtime.server.streams.record.RequestRecord`."""
    try:
        name = shown_id(fields["request_id"] or fields["key"])
        if fields["status"] != "OK":
            return f"{name} {fields['status']}: {fields['message']}"
        decode_s = fields["decode_s"]
        rate = fields["completion_tokens"] / decode_s if decode_s > 0 else 0.0
        return (
            f"{name} {fields['finish_reason']} {fields['prompt_tokens']}+"
            f"{fields['completion_tokens']} tokens, first {fields['ttft_s'] * 1000:.0f} ms, "
            f"{rate:.0f} tokens/s"
        )
    except (KeyError, TypeError, ValueError):
        return None
