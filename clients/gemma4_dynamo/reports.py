"""Tells Dynamo's router and planner of the load."""

from __future__ import annotations

import asyncio

from dynamo.llm import FpmDirectPublisher, WorkerMetricsPublisher
from dynamo.runtime import Endpoint

from gemma4_dynamo.load import Load, Sample

__all__ = ["REPORT_S", "Reports"]

REPORT_S = 0.25
"""Seconds between two reports. Dynamo's publisher sends zeros for a worker that says nothing for
one second."""


class Reports:
    """``interval``: seconds between two reports. KV events are not sent: neither engine says which
    blocks its cache holds."""

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
            await asyncio.sleep(self._interval)
            self._send(self._load.sample())

    def _send(self, sample: Sample) -> None:
        """Send one. The planner learns from ``wall_time_secs`` how long a step takes with so many
        tokens, and passes over a report in which it is 0."""
        if self._load.capacity.kv_blocks is not None:
            self._router.publish(
                active_decode_blocks=sample.decode_blocks, kv_used_blocks=sample.used_blocks
            )
        assert self._planner is not None
        self._planner.publish(
            dp_rank=0,
            scheduled_num_prefill_requests=sample.prefill,
            scheduled_sum_prefill_tokens=(
                sample.step.prefill_tokens if sample.step.seconds else sample.prefill_tokens
            ),
            scheduled_sum_prefill_kv_tokens=0,
            scheduled_num_decode_requests=sample.decode,
            scheduled_sum_decode_kv_tokens=sample.decode_tokens,
            queued_num_prefill_requests=sample.waiting,
            queued_sum_prefill_tokens=sample.waiting_tokens,
            queued_num_decode_requests=0,
            queued_sum_decode_kv_tokens=0,
            wall_time_secs=sample.step.seconds,
        )

    def stop(self) -> None:
        """Send no more."""
        if self._planner is not None:
            self._planner.shutdown()
