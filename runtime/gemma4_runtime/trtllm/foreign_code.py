"""Arguments of TensorRT-LLM that would run code which is not part of it.

An engine folder is data: it may come from another machine, and reading it must run nothing that it
brings. So these are refused, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["FOREIGN_CODE", "foreign_code"]

FOREIGN_CODE = (
    "trust_remote_code", "custom_tokenizer", "post_processor_hook", "batched_logits_processor",
    "checkpoint_loader", "ray_worker_extension_cls", "kv_connector_config", "mpi_session",
)  # fmt: skip
"""They name a class, a module or a file of Python, or say that such a file of the checkpoint may be
run."""
_VARIABLES = ("TRTLLM_", "TLLM_")
"""Starts of the names that ``env_overrides`` may set. Others, such as LD_PRELOAD and PYTHONPATH,
make a process load what they name."""


def foreign_code(args: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the dotted key of each such argument, and what is wrong with it."""
    for key in FOREIGN_CODE:
        if args[key]:
            out = "set it to false" if args[key] is True else "leave it out"
            yield key, f"{args[key]!r} runs code that is not TensorRT-LLM's; {out}"
    for name in args["env_overrides"] or {}:
        if not str(name).startswith(_VARIABLES):
            yield (
                "env_overrides",
                f"{name} could make a process load code; only {' and '.join(_VARIABLES)} names are "
                "taken: set it in the environment of the server instead",
            )
