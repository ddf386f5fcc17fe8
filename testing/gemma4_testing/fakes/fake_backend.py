"""A back end that does what a test says, in a process of its own, so that it can die.

``python -m gemma4_testing.fakes.fake_backend PORT KIND``: "good" answers; "poison" dies, with its
connections, of a request that has the word in it; "refusing" is draining; "dead" has a preprocessing
that has died, so Triton says ready; "killed" gets one, of a request with the word "poison" in it;
"held" says that it has one slot, and answers one request for each line that it reads, one with the
word "refused" in it with a refusal.
Prints its port, then one line for each request, with its prompt.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_testing.fakes.fake_triton import ENGINE, TAKES_PINGS, _Servicer, chunk, message

__all__ = ["FakeBackend", "fake_backend"]

DEAD = "INTERNAL: [triton_failed] Stub process 'preprocessing_0_0' is not healthy."


class _Backend(_Servicer):
    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._stub = threading.Lock()  # one request at a time
        self._let = threading.Semaphore(0)

    def let(self) -> None:
        """Let a held request have its answer."""
        self._let.release()

    def _refused(self, text: str) -> bool:
        """Return whether a held request is refused, when the test lets it go on."""
        self._let.acquire()
        return "refused" in text

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The tokenizer: a letter for each id."""
        made = super().ModelInfer(request, context)
        ids = b""
        for tensor, data in zip(request.inputs, request.raw_input_contents, strict=True):
            if tensor.name == "token_ids":
                ids = data
        made.raw_output_contents[0] = ids
        made.raw_output_contents[2] = b"\1\0\0\0x" * (len(ids) // 4)
        if self._kind == "held":
            limits = {
                "slots": 1,
                "max_queued": 0,
                "max_prompt_tokens": 100,
                "max_total_tokens": 200,
            }
            engine = json.dumps(json.loads(ENGINE) | limits).encode()
            made.raw_output_contents[3] = struct.pack("<I", len(engine)) + engine
        return made

    def ModelStreamInfer(self, requests: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        request = next(requests)
        inputs = dict(
            zip((i.name for i in request.inputs), request.raw_input_contents, strict=True)
        )
        probe = inputs.get("max_tokens") == b"\0\0\0\0"
        text = _prompt(inputs)
        if not probe:
            print("request", text, flush=True)
        if "poison" in text:
            if self._kind == "poison":
                os._exit(1)
            if self._kind == "killed":
                self._kind = "dead"
        if self._kind == "dead":
            with self._stub:
                time.sleep(0.7)  # Triton takes a second
            yield service_pb2.ModelStreamInferResponse(error_message=DEAD)
        elif probe:
            error = (
                'INVALID_ARGUMENT: [out_of_range field="max_tokens" least=1] max_tokens: 0 must be'
            )
            yield service_pb2.ModelStreamInferResponse(error_message=error)
        elif self._kind == "refusing" or (self._kind == "held" and self._refused(text)):
            error = (
                "UNAVAILABLE: [draining] the server is draining before it stops; use another one"
            )
            yield service_pb2.ModelStreamInferResponse(error_message=error)
        else:
            answer = chunk(0, "stop", text="hello")
            if "return_log_probs" in inputs:
                answer["output_log_probs"] = [-0.5] * len(answer["output_ids"])
            yield message(answer)


def _prompt(inputs: Mapping[str, bytes]) -> str:
    ids = inputs.get("prompt_token_ids")
    if ids is not None:
        return f"{len(ids) // 4} token ids"
    return (inputs.get("messages") or inputs["text_input"])[4:].decode()


def main(port: int, kind: str) -> None:
    server = grpc.server(ThreadPoolExecutor(64), options=TAKES_PINGS)
    backend = _Backend(kind)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(backend, server)
    found = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("port", found, flush=True)
    for _ in sys.stdin:  # until the test ends
        backend.let()
    os._exit(0)


class FakeBackend:
    """``requests``: the prompts that came, without health checks. Its own end is an error of the
    test, unless it is the one that its kind is for, or :meth:`kill`."""

    def __init__(self, kind: str, port: int = 0) -> None:
        self._ends = {1} if kind == "poison" else set()
        self.requests: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gemma4_testing.fakes.fake_backend", str(port), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([_TESTING, *filter(None, sys.path)])},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the fake back end did not start: status {self.process.wait(30)}"
        self.port = int(line.split()[1])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("request "):
                self.requests.append(line)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def died(self) -> bool:
        return self.process.poll() is not None

    def let(self, count: int = 1) -> None:
        """Let so many requests, which a held one holds or will get, have their answers."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n" * count)
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it as the kernel does, and wait for that."""
        self._ends.add(-signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it. AssertionError when it had ended by itself."""
        status = self.process.poll()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        self._reader.join(30)
        ended = f"the fake back end {self.address} ended by itself, with status {status}"
        assert status is None or status in self._ends, ended


_TESTING = str(Path(__file__).parents[2])


@contextmanager
def fake_backend(kind: str, port: int = 0) -> Iterator[FakeBackend]:
    backend = FakeBackend(kind, port)
    try:
        yield backend
    finally:
        backend.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
