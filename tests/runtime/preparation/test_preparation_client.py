"""A preparation process that stops reading holds up nobody who asks it, and is given up."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from threading import Event

from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.preparation.client import PreparationClient
from gemma4_runtime.preparation.wire import SOCKET_NAME
from gemma4_testing.waiting import wait_until

REQUESTS, TEXT = 40, "x" * 200_000
"""More than a socket holds."""
WAIT_S = 30


def test_a_frozen_process_holds_up_nobody(tmp_path: Path) -> None:
    hung = Event()
    ends: list[bytes | RequestError] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET_NAME))
        listener.listen()
        client = PreparationClient(tmp_path, on_hang=hung.set)
        began = time.monotonic()
        for _ in range(REQUESTS):
            client.ask(
                {"text_input": TEXT},
                kind="request",
                done=ends.append,
                gone=lambda: False,
                now=began,
            )
        assert time.monotonic() - began < 2  # a single send that waits takes 3 s
        assert hung.wait(WAIT_S)
        wait_until(lambda: len(ends) == REQUESTS, WAIT_S)
        client.close()
    codes = {end.code for end in ends if isinstance(end, RequestError)}
    assert codes == {Code.PREPARATION_RESTARTING}
