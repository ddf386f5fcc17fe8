"""Gemma 4 in numpy float32: what a built engine is measured against. No torch."""

from __future__ import annotations

from gemma4_build.reference.model import final_states, project, reference_logits

__all__ = ["final_states", "project", "reference_logits"]
