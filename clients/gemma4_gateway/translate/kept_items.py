"""Input items as they are stored and listed: each has an id, and content in parts."""

from __future__ import annotations

from typing import Any

from gemma4_gateway.answers.response_items import new_id

__all__ = ["kept_items", "references"]

_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
    "compaction": "cmp",
}


def references(given: str | list[dict[str, Any]]) -> dict[int, Any]:
    """Return by their places the ids that ``item_reference`` items name."""
    if isinstance(given, str):
        return {}
    return {i: x.get("id") for i, x in enumerate(given) if x.get("type") == "item_reference"}


def kept_items(given: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return valid items for storing. Those of tools that do not exist here are left out."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    items = [{"type": "message"} | item for item in given]
    return [_kept(item) for item in items if item["type"] in _PREFIXES]


def _kept(item: dict[str, Any]) -> dict[str, Any]:
    kind = item["type"]
    kept = {name: value for name, value in item.items() if value is not None}
    kept["id"] = item.get("id") if _is_id(item.get("id")) else new_id(_PREFIXES[kind])
    if kind not in ("reasoning", "compaction"):
        kept["status"] = item.get("status") or "completed"
    if kind == "message":
        kept["content"] = _parts(item["role"], item["content"])
    return kept


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 128


def _parts(role: str, content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    texts = [content] if isinstance(content, str) else [part["text"] for part in content]
    if role == "assistant":
        return [
            {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            for text in texts
        ]
    return [{"type": "input_text", "text": text} for text in texts]
