"""Load a model into llama.cpp's server."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import xllamacpp

from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp.memory import (
    CHECKPOINTS,
    drop_mapped_copy,
    fits_mapped,
)
from gemma4_runtime.engines.llama_cpp.prefill import (
    BatchMemory,
    busy,
    fitting_batch,
    measure_prefill,
)
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.machine import SMALL_MODEL, available_memory, compute_threads
from gemma4_runtime.manifest import LlamaCppOptions

__all__ = ["load_measured", "load_server"]

_KV_TYPES = {
    "f32": xllamacpp.ggml_type.GGML_TYPE_F32,
    "f16": xllamacpp.ggml_type.GGML_TYPE_F16,
    "q8_0": xllamacpp.ggml_type.GGML_TYPE_Q8_0,
}
_CELLS = 256
"""llama.cpp pads a context to whole 256 cells."""
_CONTEXT_SLACK = 8
"""llama.cpp ends an answer one token before its context is full."""


def load_measured(
    model: Path,
    info: EngineInfo,
    options: LlamaCppOptions,
    threads: int | None,
    *,
    cache_mib: int = 0,
    remembered: BatchMemory | None = None,
) -> Any:
    """Load it as :func:`load_server` does, with the prefill batch that this machine computes in the
    time that a cancel may wait: remembered, or measured with the batch of ``options`` and loaded
    again if another one is due. A small model, and a batch that the user chose, are not measured.
    """
    size = model.stat().st_size
    if not options.measured or size < SMALL_MODEL:
        return load_server(model, info, options, threads, cache_mib=cache_mib)
    remembered = remembered or BatchMemory()
    key = remembered.key(
        size, version=info.version, threads=threads or compute_threads(size), slots=info.slots
    )
    if batch := remembered.get(key):
        options = options.model_copy(update={"micro_batch": batch})
        return load_server(model, info, options, threads, cache_mib=cache_mib)
    disturbed = busy()  # before loading, which keeps the cores busy too
    server = load_server(model, info, options, threads, cache_mib=cache_mib)
    rate = measure_prefill(
        server, batch=options.micro_batch, vocab_size=info.vocab_size,
        longest=info.max_total_tokens - 1,
    )  # fmt: skip
    batch = fitting_batch(rate)
    log_event("prefill_measured", tokens_per_s=round(rate, 1), batch=batch)
    if not disturbed:
        remembered.put(key, batch)
    if batch == options.micro_batch:
        return server
    del server  # before the next one: the memory has room for one
    options = options.model_copy(update={"micro_batch": batch})
    return load_server(model, info, options, threads, cache_mib=cache_mib)


def load_server(
    model: Path,
    info: EngineInfo,
    options: LlamaCppOptions,
    threads: int | None,
    *,
    cache_mib: int = 0,
) -> Any:
    """Load an ``xllamacpp.Server`` for ``info.slots`` sequences; ``threads`` None: see
    :func:`~gemma4_runtime.machine.compute_threads`; ``cache_mib`` as of the engine. Raises
    :class:`RuntimeError`."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    per_slot = info.max_total_tokens + _CONTEXT_SLACK
    params.n_ctx = info.slots * (-(-per_slot // _CELLS) * _CELLS)
    params.n_parallel = info.slots
    # Prompt tokens at a time; a cancel during prefill is seen between batches. llama.cpp aborts on
    # a batch that is smaller than its slots, each of which may ask for logits.
    params.n_ubatch = options.micro_batch
    params.n_batch = max(options.micro_batch, info.slots)
    size = model.stat().st_size
    params.cpuparams.n_threads = threads or compute_threads(size)
    if info.precision in ("int4", "gguf") and not fits_mapped(size, available_memory()):
        params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.n_ctx_checkpoints = CHECKPOINTS
    params.cache_ram_mib = cache_mib
    params.fit_params = False
    params.verbosity = 1
    # The wheel always opens an HTTP listener; a random key closes it to everybody else.
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [secrets.token_hex(32)]
    params.endpoint_slots = params.endpoint_props = params.ui = False
    params.endpoint_metrics = True  # for the call below; its HTTP service stays off
    params.cache_type_k = params.cache_type_v = _KV_TYPES[options.kv_type]
    if not options.flash_attention:
        # On CPU it casts K and V to float16; parity needs neither.
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    try:
        server = xllamacpp.Server(params)
        # Answered by the server's loop, so the loop runs: destroyed before that, a server waits for
        # its thread forever.
        server.handle_metrics()
        drop_mapped_copy(model)
        return server
    except RuntimeError as error:
        raise RuntimeError(
            f"llama.cpp cannot load {model}: {error} (its reason is in the log above)"
        ) from None
