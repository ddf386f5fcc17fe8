"""The process that holds TensorRT-LLM for one set of GPUs: ``python -m ... FD``.

Apart from the engine step, because CUDA_VISIBLE_DEVICES can be set only before TensorRT-LLM is
imported, because its threads would share the interpreter lock with the emitter, and because its
death must leave someone to end the streams. FD is a connected Unix socket; its end of file means
that the parent is gone, and so do we. One that hangs in TensorRT-LLM then is ended by Linux.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from threading import Thread
from typing import Any

from gemma4_runtime.engines.tensorrt_llm.load import StartError, load
from gemma4_runtime.engines.tensorrt_llm.session import Session
from gemma4_runtime.engines.tensorrt_llm.wire import (
    LENGTH,
    Cancel,
    Close,
    Command,
    Event,
    Ready,
    Start,
    StartFailed,
    Submit,
    decode_command,
    frame,
)
from gemma4_runtime.processes.parent import end_with_parent

__all__ = ["main"]

_CLOSE_S = 5.0
"""Seconds that running requests, and TensorRT-LLM itself, have to end."""
EXIT_START = 1
"""Exit status of a worker that could not start."""
EXIT_LOST = 3
"""Exit status of a worker whose executor died."""


def main(descriptor: int) -> int:
    """Serve until closed; returns the exit status."""
    # The server decides when to stop, not a Ctrl-C that reaches the whole terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    # The processes that TensorRT-LLM starts must not hold our end open when we die.
    os.set_inheritable(descriptor, False)
    connection = socket.socket(fileno=descriptor)
    start = _read_start(connection)
    try:
        api, llm = load(
            Path(start.engine_dir), version=start.version, any_version=start.any_version
        )
    except StartError as error:
        connection.sendall(frame([StartFailed(str(error))]))
        return EXIT_START
    try:
        return asyncio.run(_serve(connection, api, llm, start))
    finally:
        llm.shutdown()


def _read_start(connection: socket.socket) -> Start:
    with connection.makefile("rb") as stream:
        (length,) = LENGTH.unpack(stream.read(LENGTH.size))
        command = decode_command(stream.read(length))
    assert isinstance(command, Start)
    return command


class _Events:
    """Events of one turn of the loop leave in one frame."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Event] = []

    def send(self, event: Event) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(event)

    def _flush(self) -> None:
        events, self._waiting = self._waiting, []
        if events:
            self._writer.write(frame(events))

    async def drain(self) -> None:
        self._flush()
        await self._writer.drain()


async def _serve(connection: socket.socket, api: Any, llm: Any, start: Start) -> int:
    connection.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    events = _Events(writer)
    session = Session(llm, api, pad_id=start.pad_id, vocab_size=start.vocab_size, send=events.send)
    events.send(Ready(str(api.__version__)))
    reading = asyncio.ensure_future(_obey(reader, session))
    lost = asyncio.ensure_future(session.lost.wait())
    await asyncio.wait((reading, lost), return_when=asyncio.FIRST_COMPLETED)
    if session.lost.is_set():
        await events.drain()
        _shut_down_within(llm, _CLOSE_S)
        os._exit(EXIT_LOST)
    lost.cancel()
    reading.result()
    await session.close(_CLOSE_S)
    try:
        await events.drain()
    except ConnectionError:
        pass
    return 0


def _shut_down_within(llm: Any, seconds: float) -> None:
    """End the processes of a dead executor, which hold GPU memory, though it may hang."""
    thread = Thread(target=llm.shutdown, daemon=True)
    thread.start()
    thread.join(seconds)


async def _obey(reader: asyncio.StreamReader, session: Session) -> None:
    """Obey commands until Close or the end of the connection."""
    while True:
        try:
            head = await reader.readexactly(LENGTH.size)
            command: Command = decode_command(await reader.readexactly(LENGTH.unpack(head)[0]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        if isinstance(command, Submit):
            session.submit(command)
        elif isinstance(command, Cancel):
            session.cancel(command.key)
        elif isinstance(command, Close):
            return


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
