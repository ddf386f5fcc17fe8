"""Proof of a built engine: run it, and compare with a float32 reference of the checkpoint."""

from __future__ import annotations

from gemma4_build.verify.check import verify_gguf

__all__ = ["verify_gguf"]
