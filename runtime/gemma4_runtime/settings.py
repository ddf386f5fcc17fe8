"""Everything the models read from the environment, in one place.

``gemma4 serve`` sets these. A ``tritonserver`` started by hand needs only ``GEMMA4_ENGINE_DIR``.

Nine processes of a server read it at their start, and five of them do not import pydantic. There
pydantic-settings 2.16 with the same fields takes 0.28 s of CPU time and 15 MiB, where these
functions take 0.004 s and 0.1 MiB; in the other four it takes 0.08 s and 5 MiB. It also takes "yes"
for 1, and its messages name neither the variable nor a way out. So this is read by hand. Measured
with ``time.process_time`` and ``ru_maxrss`` around import and reading, after the imports of each
model (2 cores, 24 GiB, no GPU; Python 3.11).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gemma4_runtime.restarts import RestartReason, read_restarts

__all__ = ["Settings", "load_settings"]

ENGINE_DIR = "GEMMA4_ENGINE_DIR"
RUN_DIR = "GEMMA4_RUN_DIR"
THREADS = "GEMMA4_THREADS"
SLOTS = "GEMMA4_SLOTS"
MAX_QUEUED = "GEMMA4_MAX_QUEUED"
FAULTS = "GEMMA4_FAULTS"
GPU_DEVICE_IDS = "GEMMA4_GPU_DEVICE_IDS"
TRTLLM_ANY_VERSION = "GEMMA4_TRTLLM_ANY_VERSION"
CACHE_DIR = "GEMMA4_CACHE_DIR"
SHM_PREFIX = "GEMMA4_SHM_PREFIX"
RESTARTS = "GEMMA4_RESTARTS"
QUALITY_GATE = "GEMMA4_QUALITY_GATE"
QUALITY_GATE_INTERVAL = "GEMMA4_QUALITY_GATE_INTERVAL"
QUALITY_GATE_MODES = ("off", "report", "enforce")
_WHOLE = re.compile("[0-9]{1,18}")
_FAULTS = ("kill_at", "fail_at", "stall_at", "wrong_at")


@dataclass(frozen=True, slots=True)
class Settings:
    """``engine_dir``: the engine folder. ``run_dir``: status board and control socket of this
    server. ``threads``, ``slots``, ``max_queued``: overrides of the manifest, None to keep it.
    ``faults``: of the synthetic runtime, for tests, such as ``kill_at=5``. ``gpu_device_ids``: of
    the tensorrt_llm runtime, ``0,1;2,3`` for two copies of the model on two GPUs each, None for
    one copy on the visible GPUs. ``trtllm_any_version``: run another TensorRT-LLM than the engine
    was built for. ``cache_dir``: where TensorRT-LLM's compiled and tuned things are kept for the
    next start, None for its own places. ``shm_prefix``: starts the names of this
    server's shared memory regions, which nobody else uses; "" when that is not known.
    ``restarts``: those of the server so far, by reason, as ``gemma4 serve`` counts them.
    ``quality_gate``: one of :data:`QUALITY_GATE_MODES`; ``quality_gate_interval``: seconds over
    which the prompts of a run are spread, 0 for a run at the start only, None for the gate's own
    pace."""

    engine_dir: Path
    run_dir: Path
    threads: int | None = None
    slots: int | None = None
    max_queued: int | None = None
    faults: dict[str, int] = field(default_factory=dict)
    gpu_device_ids: str | None = None
    trtllm_any_version: bool = False
    cache_dir: Path | None = None
    shm_prefix: str = ""
    restarts: dict[RestartReason, int] = field(default_factory=lambda: read_restarts(""))
    quality_gate: str = "report"
    quality_gate_interval: float | None = None


def _positive(env: Mapping[str, str], name: str, *, least: int = 1) -> int | None:
    text = env.get(name, "").strip()
    if not text:
        return None
    if not _WHOLE.fullmatch(text) or int(text) < least:
        raise ValueError(f"{name}={text!r}: must be an integer >= {least}, or unset")
    return int(text)


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip()
    if text not in ("", "0", "1"):
        raise ValueError(f"{name}={text!r}: must be 0, 1 or unset")
    return text == "1"


def _mode(env: Mapping[str, str]) -> str:
    text = env.get(QUALITY_GATE, "").strip() or "report"
    if text not in QUALITY_GATE_MODES:
        raise ValueError(
            f"{QUALITY_GATE}={text!r}: must be one of {', '.join(QUALITY_GATE_MODES)}, or unset"
        )
    return text


def _interval(env: Mapping[str, str]) -> float | None:
    text = env.get(QUALITY_GATE_INTERVAL, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError(
            f"{QUALITY_GATE_INTERVAL}={text!r}: must be seconds >= 0 (0: at the start only), "
            "or unset"
        )
    return seconds


def _faults(text: str) -> dict[str, int]:
    faults = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if name not in _FAULTS or not _WHOLE.fullmatch(count):
            raise ValueError(f"{FAULTS}={text!r}: {part!r} is not one of {', '.join(_FAULTS)} = N")
        faults[name] = int(count)
    return faults


def _restarts(text: str) -> dict[RestartReason, int]:
    try:
        return read_restarts(text)
    except ValueError as error:
        raise ValueError(f"{RESTARTS}={text!r}: {error}") from None


def _default_run_dir() -> Path:
    """Return the folder of this server: its models' processes share a parent, whose pid names the
    folder."""
    return Path(tempfile.gettempdir()) / f"gemma4-{os.getuid()}" / str(os.getppid())


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises :class:`ValueError` that names the variable and the value."""
    env = os.environ if env is None else env
    engine_dir = env.get(ENGINE_DIR, "").strip()
    if not engine_dir:
        raise ValueError(
            f"{ENGINE_DIR} is not set: start the server with `gemma4 serve --engine FOLDER`, "
            "or set it to an engine folder made by `gemma4 build`"
        )
    run_dir = env.get(RUN_DIR, "").strip()
    cache_dir = env.get(CACHE_DIR, "").strip()
    return Settings(
        engine_dir=Path(engine_dir),
        run_dir=Path(run_dir) if run_dir else _default_run_dir(),
        threads=_positive(env, THREADS),
        slots=_positive(env, SLOTS),
        max_queued=_positive(env, MAX_QUEUED, least=0),
        faults=_faults(env.get(FAULTS, "")),
        gpu_device_ids=env.get(GPU_DEVICE_IDS, "").strip() or None,
        trtllm_any_version=_flag(env, TRTLLM_ANY_VERSION),
        cache_dir=Path(cache_dir) if cache_dir else None,
        shm_prefix=env.get(SHM_PREFIX, "").strip(),
        restarts=_restarts(env.get(RESTARTS, "").strip()),
        quality_gate=_mode(env),
        quality_gate_interval=_interval(env),
    )
