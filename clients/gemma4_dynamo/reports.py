"""Tells Dynamo's router and planner of the load."""

from __future__ import annotations

import asyncio
import time

from dynamo.llm import FpmDirectPublisher, WorkerMetricsPublisher
from dynamo.runtime import Endpoint

from gemma4_dynamo.load import Load, Sample

__all__ = ["Reports"]


class Reports:
    """``interval``: seconds between two reports while nothing changes. KV events are not sent:
    neither engine says which blocks its cache holds."""

    def __init__(self, endpoint: Endpoint, load: Load, *, interval: float) -> None:
        self._endpoint = endpoint
        self._load = load
        self._interval = interval
        self._router = WorkerMetricsPublisher()
        self._planner: FpmDirectPublisher | None = None

    async def start(self) -> None:
        """Open the way to the event plane."""
        await self._router.create_endpoint(self._endpoint)
        worker = str(self._endpoint.connection_id())
        self._planner = FpmDirectPublisher(self._endpoint, worker)

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            started = time.monotonic()
            await asyncio.sleep(self._interval)
            self._send(self._load.sample(), time.monotonic() - started)

    def _send(self, sample: Sample, seconds: float) -> None:
        if self._load.capacity.kv_blocks is not None:
            self._router.publish(
                active_decode_blocks=sample.decode_blocks, kv_used_blocks=sample.used_blocks
            )
        assert self._planner is not None
        self._planner.publish(
            dp_rank=0,
            scheduled_num_prefill_requests=sample.prefill,
            scheduled_sum_prefill_tokens=sample.prefill_tokens,
            scheduled_sum_prefill_kv_tokens=0,
            scheduled_num_decode_requests=sample.decode,
            scheduled_sum_decode_kv_tokens=sample.decode_tokens,
            queued_num_prefill_requests=sample.waiting,
            queued_sum_prefill_tokens=sample.waiting_tokens,
            queued_num_decode_requests=0,
            queued_sum_decode_kv_tokens=0,
            wall_time_secs=seconds,
        )

    def stop(self) -> None:
        if self._planner is not None:
            self._planner.shutdown()
