"""The ``gemma4_tokenizer`` model: token ids, text, bytes of tokens, and which engine this is."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import orjson
from gemma4_client.errors import from_rpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

__all__ = ["EngineInfo", "Tokenized", "TokenizerClient"]

_TIMEOUT_S = 10.0
_LARGEST_MESSAGE = 64 << 20
_CACHED_TOKENS = 300_000


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself. ``id`` changes with every build; ``created`` is seconds
    since 1970."""

    id: str
    model: str
    runtime: str
    runtime_version: str
    precision: str
    max_prompt_tokens: int
    max_total_tokens: int
    vocab_size: int
    created: int


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Of one call; ``token_bytes`` are the bytes of each id."""

    ids: list[int]
    text: str
    token_bytes: list[bytes]
    engine: EngineInfo


class TokenizerClient:
    """Of one back end. Raises the exceptions of :mod:`gemma4_client.errors`."""

    def __init__(self, address: str) -> None:
        options = (
            ("grpc.max_send_message_length", _LARGEST_MESSAGE),
            ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        )
        self._channel = grpc.aio.insecure_channel(address, options=options)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._bytes: dict[int, bytes] = {}
        self._engine = ""
        self._marks: tuple[int, int] | None = None

    async def engine(self) -> EngineInfo:
        """Which engine this is."""
        return (await self.of_ids([])).engine

    async def of_text(self, text: str, *, add_bos: bool) -> Tokenized:
        return await self._call({"text": text.encode(), "add_bos": add_bos})

    async def of_chat(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, *, thinking: bool
    ) -> Tokenized:
        inputs: dict[str, Any] = {"messages": orjson.dumps(messages)}
        if tools:
            inputs["tools"] = orjson.dumps(tools)
        if thinking:
            inputs["enable_thinking"] = True
        return await self._call(inputs)

    async def of_ids(self, ids: list[int]) -> Tokenized:
        return await self._call({"token_ids": ids})

    async def bytes_of(self, ids: list[int]) -> list[bytes]:
        """Of each id, from memory where the id has been seen."""
        known = self._bytes
        missing = list({token for token in ids if token not in known})
        if missing:
            found = await self.of_ids(missing)
            if found.engine.id != self._engine or len(known) > _CACHED_TOKENS:
                known.clear()
                self._engine = found.engine.id
            known.update(zip(missing, found.token_bytes, strict=True))
            if any(token not in known for token in ids):
                return (await self.of_ids(ids)).token_bytes
        return [known[token] for token in ids]

    async def marks(self) -> tuple[int, int]:
        """Ids of the control tokens that open and close a thought."""
        if self._marks is None:
            opened, closed = (await self.of_text("<|channel><channel|>", add_bos=False)).ids
            self._marks = (opened, closed)
        return self._marks

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, inputs: dict[str, Any]) -> Tokenized:
        try:
            response = await self._stub.ModelInfer(_request(inputs), timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None
        return _read(response)


def _request(inputs: dict[str, Any]) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name="gemma4_tokenizer")
    for name, value in inputs.items():
        if isinstance(value, bytes):
            datatype, shape, data = "BYTES", [1, 1], struct.pack("<I", len(value)) + value
        elif isinstance(value, bool):
            datatype, shape, data = "BOOL", [1, 1], struct.pack("<?", value)
        else:
            datatype, shape = "INT32", [1, len(value)]
            data = struct.pack(f"<{len(value)}i", *value)
        tensor = request.inputs.add(name=name, datatype=datatype)
        tensor.shape.extend(shape)
        request.raw_input_contents.append(data)
    return request


def _read(response: service_pb2.ModelInferResponse) -> Tokenized:
    raw = {
        output.name: data
        for output, data in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    ids = raw["token_ids"]
    return Tokenized(
        ids=list(struct.unpack(f"<{len(ids) // 4}i", ids)),
        text=_strings(raw["text"])[0].decode(),
        token_bytes=_strings(raw["token_bytes"]),
        engine=EngineInfo(**orjson.loads(_strings(raw["engine"])[0])),
    )


def _strings(data: bytes) -> list[bytes]:
    items, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        items.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return items
