"""What is deployed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gemma4_runtime.trtllm.kv_memory import host_cache_bytes
from gemma4_runtime.trtllm.presets import Preset, step_tokens

from gemma4_plan.catalog import Card
from gemma4_plan.commands import build_command, buildable, known_gpu
from gemma4_plan.gpu_memory import Split
from gemma4_plan.host.costs import HostCosts

__all__ = ["Chosen", "gateway_replicas", "triton_cores"]

_GIB = 2**30
"""Bytes of the unit of memory here."""

_BESIDE_CACHE_GIB = 32
"""GiB of a server's memory beside the pinned cache: 16 of /dev/shm and 16 of the processes, as in
the chart's values.yaml."""

_ENGINE_CORES = 8
"""Cores that TensorRT-LLM's own processes of one server ask for, as in the chart's values.yaml. Not
measured: this project ran it without a GPU only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """``replicas`` servers, the spare ones among them, each with one copy of the model that takes
    ``slots`` requests of ``tokens`` at once. ``host`` is the whole fleet's."""

    gpu: str
    card: Card
    split: Split
    preset: Preset = "throughput"
    slots: int
    tokens: int
    replicas: int
    host: HostCosts

    @property
    def build_gpu(self) -> str:
        """The card's name in a build; "" where no build knows its compute capability."""
        return known_gpu(self.gpu, self.card)

    @property
    def max_total_tokens(self) -> int:
        """The length that the engine is built for."""
        return buildable(self.tokens)

    def build(self) -> str:
        """Return the command that builds the engine."""
        return build_command(
            self.build_gpu, self.split, slots=self.slots, tokens=self.tokens, preset=self.preset
        )

    def memory_gib(self) -> int:
        """Return the GiB of host memory of one server: the pinned part of the KV cache, and what
        is beside it, in steps of 8."""
        pinned = self.split.tp * host_cache_bytes(
            self.slots, self.max_total_tokens, element_bytes=self.split.kv_item, tp=self.split.tp,
            step_tokens=step_tokens(self.preset, slots=self.slots),
        )  # fmt: skip
        return 8 * math.ceil((pinned / _GIB + _BESIDE_CACHE_GIB) / 8)


def triton_cores(chosen: Chosen) -> int:
    """Return the cores that one server asks for."""
    return _ENGINE_CORES + math.ceil(chosen.host.triton_cores.high / chosen.replicas)


def gateway_replicas(chosen: Chosen) -> int:
    """Return the gateways, one of them spare."""
    return chosen.host.gateways + 1
