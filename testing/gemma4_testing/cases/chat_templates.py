"""Two templates that both are right: the demo's and one that is written otherwise."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEMO", "SECOND"]

SECOND = Path(__file__).with_name("second_template.jinja")
DEMO = Path(__file__).parents[3] / "demo" / "chat_template.jinja"
