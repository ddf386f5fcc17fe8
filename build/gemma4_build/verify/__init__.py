"""Proof of a built engine: run it, and compare with a float32 reference of the checkpoint."""

from __future__ import annotations

from gemma4_build.verify.gguf_run import verify_gguf

__all__ = ["verify_gguf"]
