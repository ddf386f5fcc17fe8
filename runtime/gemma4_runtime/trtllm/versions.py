"""Versions of TensorRT-LLM and of what stands beside it.

Numbers in ``#`` are pull requests of NVIDIA/TensorRT-LLM. A release candidate contains what was
merged before it was cut; where that is not certain, the next one is asked for.
"""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

__all__ = [
    "FIRST", "FIRST_MTP", "FIRST_NVFP4", "FIRST_PYTORCH", "LAST_READ", "PINNED", "TRANSFORMERS",
    "BadVersionError", "parse_version",
]  # fmt: skip

PINNED = "1.3.0rc29"
"""What images, arguments and the recorded API are made for: the newest candidate of 1.3."""

TRANSFORMERS = ">=5.10,<5.15"
"""5.10 knows the MTP assistant; 5.15 makes head_dim a per-layer attribute, which the loader's
reading of the configuration does not survive (#18547, open when this was written)."""

FIRST_PYTORCH = Version("1.3.0rc15")
"""First with Gemma 4 in the PyTorch backend (#12932)."""

FIRST = {
    90: (Version("1.3.0rc26"), "attention with CUDA graphs on Hopper (#18002)"),
    100: (Version("1.3.0rc22"), "the fixes of July 2026 (#15848, #16099)"),
    103: (Version("1.3.0rc22"), "the fixes of July 2026 (#15848, #16099)"),
    120: (Version("1.3.0rc25"), "FlashInfer attention outside SM100 (#17557)"),
    121: (Version("1.3.0rc25"), "FlashInfer attention outside SM100 (#17557)"),
}
"""By compute capability: first version, and what it brought."""

FIRST_NVFP4 = Version("1.3.0rc22")
"""Loads ModelOpt's per-expert tensors (#16108)."""

FIRST_MTP = Version("1.3.0rc26")
"""Assistant model (#15833) and its shared KV cache (#17837)."""

LAST_READ = Version("1.4.0rc1")
"""Newest version whose source was read for these rules."""


class BadVersionError(ValueError):
    """Not a version number."""


def parse_version(text: str) -> Version:
    """Parse ``1.3.0rc29``, also with a local or post part. Raises :class:`BadVersionError`."""
    try:
        return Version(text)
    except InvalidVersion:
        raise BadVersionError(
            f"TensorRT-LLM version {text!r}: not a version number; write it as {PINNED}"
        ) from None
