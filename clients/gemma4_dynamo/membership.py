"""A worker's place in Dynamo's discovery: joined while it can answer, left before it stops."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from dynamo.llm import ModelInput, ModelRuntimeConfig, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime

from gemma4_dynamo.listing import Listing
from gemma4_dynamo.load import BLOCK_TOKENS, Capacity
from gemma4_dynamo.model import PARSER, Model
from gemma4_dynamo.serving import Serving

__all__ = ["Membership"]


class Membership:
    """``endpoint_path`` is NAMESPACE.COMPONENT.ENDPOINT. Belongs to the running event loop."""

    def __init__(self, runtime: DistributedRuntime, endpoint_path: str) -> None:
        self.endpoint = runtime.endpoint(endpoint_path)
        self.listing = Listing(
            self.endpoint.register_endpoint_instance, self.endpoint.unregister_endpoint_instance
        )

    async def register(
        self, model: Model, name: str, capacity: Capacity, *, card: Path, text: bool
    ) -> None:
        """Say which model this is, and what it can hold. ``card``: the folder that Dynamo reads.
        ``text``: Dynamo sends OpenAI's body rather than token ids."""
        config = ModelRuntimeConfig()
        config.context_length = model.context_length
        config.max_num_seqs = capacity.slots
        if capacity.kv_blocks is not None:  # Dynamo takes no None for "not known"
            config.total_kv_blocks = capacity.kv_blocks
        if not text:
            config.tool_call_parser = PARSER
            config.reasoning_parser = PARSER
        config.kv_event_publishing_enabled = False
        config.enable_local_indexer = False
        await register_model(
            ModelInput.Text if text else ModelInput.Tokens,
            ModelType.Chat | ModelType.Completions,
            self.endpoint,
            str(card),
            name,
            worker_type=WorkerType.Aggregated,
            kv_cache_block_size=BLOCK_TOKENS,
            runtime_config=config,
        )

    def serve(self, serving: Serving, probe: dict[str, Any]) -> asyncio.Future[None]:
        """Take requests; the future is done when the runtime has shut down. ``probe``: the request
        of Dynamo's health check."""
        served: asyncio.Future[None] = asyncio.ensure_future(
            self.endpoint.serve_endpoint(
                serving.generate, graceful_shutdown=True, health_check_payload=probe
            )
        )
        return served
