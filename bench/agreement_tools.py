"""Runs the three tools of ``agreement.py``, each in a process of its own, on the same workload."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from agreement_figures import Figures, NotComparableError, from_aiperf, from_load, from_locust
from gemma4_load.targets.blocking import BlockingOpenAI, measure_words
from gemma4_load.workloads.lengths import parse_length
from gemma4_load.workloads.spec import WorkloadSpec
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.running_gateway import MODEL

ROOT = Path(__file__).parents[1]

__all__ = ["AIPerf", "GemmaLoad", "Load", "Locust", "Tool", "write_prompts"]

_SEED = 0
_SPARE_S = 120
"""For a tool to start, to wait for its last answers and to write."""
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""With these AIPerf looks for a tokenizer in the hub's cache only and refuses a folder."""


@dataclass(frozen=True, slots=True)
class Load:
    """A closed loop of ``users`` against ``url``; seconds, tokens of each request."""

    url: str
    users: int
    warmup: int
    duration: int
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class _Ran:
    status: int
    out: str
    errors: str


class Tool(ABC):
    name: ClassVar[str]

    @abstractmethod
    def measure(self, load: Load, folder: Path) -> Figures:
        """Measure with the tool. Its files go to ``folder``, which is new. Raises
        :class:`NotComparableError`."""


class GemmaLoad(Tool):
    name = "gemma4 load"

    def measure(self, load: Load, folder: Path) -> Figures:
        ran = _run(
            self.name,
            [GEMMA4, "load", "--url", f"{load.url}/v1", "--concurrency", load.users,
             "--warmup", load.warmup, "--duration", load.duration,
             "--prompt-tokens", load.prompt_tokens, "--output-tokens", load.output_tokens,
             "--seed", _SEED, "--out", folder],
            load,
        )  # fmt: skip
        return from_load(_read(folder / "report.json", self.name, ran))


class Locust(Tool):
    name = "locust"

    def measure(self, load: Load, folder: Path) -> Figures:
        folder.mkdir()
        stats = folder / "stats"  # locust adds .json
        ran = _run(
            self.name,
            [sys.executable, "-m", "locust", "-f", ROOT / "load_tests" / "locustfile.py",
             "OpenAIUser", "--headless", "--loglevel", "WARNING", "--host", f"{load.url}/v1",
             "-u", load.users, "-r", load.users, "-t", f"{load.warmup + load.duration}s",
             "--warmup", load.warmup, "--prompt-tokens", load.prompt_tokens,
             "--output-tokens", load.output_tokens, "--seed", _SEED, "--json-file", stats],
            load,
        )  # fmt: skip
        return from_locust(ran.out, _read(stats.with_suffix(".json"), self.name, ran))


class AIPerf(Tool):
    """Given the first prompts of the same seed, as a file."""

    name = "AIPerf"

    def __init__(self, program: Path, prompts: Path) -> None:
        self._program = program
        self._prompts = prompts

    def measure(self, load: Load, folder: Path) -> Figures:
        ran = _run(
            self.name,
            [self._program, "profile", "--model", MODEL, "--url", load.url,
             "--tokenizer", ROOT / "demo" / "checkpoint", "--endpoint-type", "chat", "--streaming",
             "--use-server-token-count", "--input-file", self._prompts,
             "--custom-dataset-type", "single_turn", "--dataset-sampling-strategy", "sequential",
             "--extra-inputs", "ignore_eos:true", "--concurrency", load.users,
             "--warmup-duration", load.warmup, "--benchmark-duration", load.duration,
             "--random-seed", _SEED, "--ui", "none", "--no-server-metrics", "--no-gpu-telemetry",
             "--artifact-dir", folder],
            load,
        )  # fmt: skip
        return from_aiperf(_read(folder / "profile_export_aiperf.json", self.name, ran))


def write_prompts(path: Path, load: Load, *, count: int = 1000) -> None:
    """Write the first prompts that `gemma4 load` and locust ask with this seed, as AIPerf reads
    them."""
    target = BlockingOpenAI(f"{load.url}/v1", timeout=60, model=MODEL)
    try:
        words = measure_words(target)
    finally:
        target.close()
    workload = WorkloadSpec(
        prompt=parse_length("--prompt-tokens", str(load.prompt_tokens)),
        output=parse_length("--output-tokens", str(load.output_tokens)),
    ).make(words)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            ask = workload.first(np.random.default_rng([_SEED, 0, number]))
            line = {
                "text": ask.messages[0]["content"],
                "output_length": ask.options["max_tokens"],
            }
            file.write(json.dumps(line) + "\n")


def _run(tool: str, command: list[Any], load: Load) -> _Ran:
    """Run a tool in a process group, which does not outlive it. Raises :class:`NotComparableError`
    for a tool that cannot start or does not end."""
    limit = load.warmup + load.duration + _SPARE_S
    try:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={name: value for name, value in os.environ.items() if name not in _OFFLINE},
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise NotComparableError(f"{tool}: {error}") from None
    try:
        out, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise NotComparableError(f"{tool}: not over after {limit} s") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return _Ran(process.returncode, out, errors)


def _read(path: Path, tool: str, ran: _Ran) -> Any:
    """Return what a tool wrote, whatever its exit status."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = (ran.errors or ran.out)[-2000:]
        raise NotComparableError(f"{tool}: no figures, exit status {ran.status}: {said}") from None
