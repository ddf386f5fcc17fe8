"""What tests of the emitters share: clients that record, and requests."""

from __future__ import annotations

from threading import Event

from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.server.board import Field

__all__ = ["WAIT_S", "Recorder", "request"]

WAIT_S = 10


class Recorder:
    """A client behind postprocessing that handles every chunk at once, unless ``stuck``; or one
    that is called ``direct``."""

    def __init__(self, board=None, *, stuck=False, broken=False, direct=False) -> None:
        self.chunks, self.error, self.over = [], None, Event()
        self.board, self.stuck, self.broken, self.direct = board, stuck, broken, direct
        self.gone, self.asked = False, 0

    def client_gone(self):
        assert self.direct
        assert not self.over.is_set()
        self.asked += 1
        if self.gone == "broken":
            raise RuntimeError("no such client")
        return self.gone

    def send(self, chunk, *, final) -> None:
        if self.broken:
            raise RuntimeError("no such request")
        assert not self.over.is_set()
        self.chunks.append(chunk)
        if not self.stuck and not self.direct:
            self.board[Field.CHUNKS_HANDLED] += 1
        if final:
            self.over.set()

    def end(self) -> None:
        assert self.direct
        assert not self.over.is_set()
        self.over.set()

    def fail(self, error) -> None:
        assert not self.over.is_set()
        self.error = error
        self.over.set()


def request(key="k", **options):
    fields = {n: options.pop(n) for n in ("stream", "deadline", "arrival") if n in options}
    sampling = SamplingParams(**({"max_tokens": 50} | options))
    return GenerationRequest(key=key, input_ids=[600, 601, 602], sampling=sampling, **fields)
