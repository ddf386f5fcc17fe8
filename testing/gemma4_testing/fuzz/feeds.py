"""Hand-made bombs of feeds: as :mod:`gemma4_testing.fuzz.connections`, which has the rest."""

from __future__ import annotations

import queue
import secrets
import struct
import threading
import time
from contextlib import suppress
from typing import Any

import grpc
from gemma4_client.wire import build_poll
from gemma4_runtime.errors import Code, parse_wire

from gemma4_testing.fuzz.connections import BOMBS, LONG, SHORT, bomb, ended, infer, stub_of
from gemma4_testing.fuzz.send import HANG_S, Sender
from gemma4_testing.servers.served import Served

__all__ = ["BOMBS"]


def poll_of(stub: Any, key: str, responses: int = 1) -> Any:
    return stub.ModelStreamInfer(iter([build_poll(key, responses)]), timeout=HANG_S)


@bomb("feed: 10,000 feeds")
def many_feeds(server: Served) -> None:
    """A thousand are open at once in each of two emitters; the others are refused, and the open
    ones end with their client."""
    with stub_of(server) as stub:
        calls = [
            stub.ModelStreamInfer(
                iter([build_poll(secrets.token_hex(16), 1) for _ in range(1000)]), timeout=HANG_S
            )
            for _ in range(10)
        ]
        refused: queue.SimpleQueue[str] = queue.SimpleQueue()

        def read(call: Any) -> None:
            with suppress(grpc.RpcError):
                for reply in call:
                    refused.put(reply.error_message)

        readers = [threading.Thread(target=read, args=(call,)) for call in calls]
        for reader in readers:
            reader.start()
        errors = {refused.get(timeout=HANG_S) for _ in range(7900)}
        assert {error and error.code for error in map(parse_wire, errors)} == {Code.TOO_MANY_FEEDS}
        for call in calls:
            call.cancel()
        for reader in readers:
            reader.join()


@bomb("feed: 30 polls of one feed")
def many_polls(server: Served) -> None:
    key = secrets.token_hex(16)
    with stub_of(server) as stub:
        calls = [poll_of(stub, key, 64) for _ in range(30)]
        time.sleep(0.3)
        for call in calls:
            call.cancel()


@bomb("feed: polls that are never read")
def unread_polls(server: Served) -> None:
    key = secrets.token_hex(16)
    with stub_of(server) as stub:
        polls = [poll_of(stub, key, 64) for _ in range(8)]
        streams = [
            stub.ModelStreamInfer(iter([infer(LONG, "engine", feed=f"{key}/{n}")]), timeout=HANG_S)
            for n in range(20)
        ]
        time.sleep(1)
        for call in [*polls, *streams]:
            call.cancel()


@bomb("feed: a client that leaves its feed")
def left_feed(server: Served) -> None:
    key = secrets.token_hex(16)
    with stub_of(server) as stub:
        stream = stub.ModelStreamInfer(
            iter([infer(LONG, "engine", feed=f"{key}/1")]), timeout=HANG_S
        )
        poll = poll_of(stub, key, 64)
        next(iter(poll))
        poll.cancel()
        assert ended(stream) > 0


@bomb("feed: the same number twice")
def same_number(server: Served) -> None:
    key = secrets.token_hex(16)
    with stub_of(server) as stub:
        calls = [
            stub.ModelStreamInfer(iter([infer(SHORT, "engine", feed=f"{key}/1")]), timeout=HANG_S)
            for _ in range(10)
        ]
        poll = poll_of(stub, key, 64)
        assert all(ended(call) for call in calls)
        poll.cancel()


@bomb("feed: numbers beyond all")
def feed_numbers(server: Served) -> None:
    key = secrets.token_hex(16)
    texts = [f"{key}/0", f"{key}/65", f"{key}/999999999999999", f"{key}/1e9", f"{key}/-1", key, "",
             "/", f"{key}/1/1", f"{key[:31]}/1", f"{key.upper()}g/1", "\0", "x" * 10**6]  # fmt: skip
    with Sender(server.http, server.grpc) as sender:
        for text in texts:
            poll = build_poll("k", 1)
            poll.raw_input_contents[0] = struct.pack("<I", len(text)) + text.encode()
            assert sender.stream_bytes([poll.SerializeToString()]).error.startswith(
                "INVALID_ARGUMENT"
            )


@bomb("feed: together with every other input")
def feed_and_more(server: Served) -> None:
    key = secrets.token_hex(16)
    with Sender(server.http, server.grpc) as sender:
        for name in ("request", "text_input", "max_tokens"):
            poll = build_poll(key, 1)
            kind = {"request": "UINT8", "text_input": "BYTES", "max_tokens": "INT32"}[name]
            poll.inputs.add(name=name, datatype=kind, shape=[1, 1])
            poll.raw_input_contents.append(
                {"UINT8": b"x", "BYTES": b"\1\0\0\0x", "INT32": bytes(4)}[kind]
            )
            ended = sender.stream_bytes([poll.SerializeToString()])
            assert "is a call of its own; leave out" in ended.error
