"""What tests of the emitters share: clients that record, and requests."""

from __future__ import annotations

from threading import Event
from typing import Any

from gemma4_runtime.errors import RequestError, parse_wire
from gemma4_runtime.messages import Chunk, GenerationRequest, SamplingParams
from gemma4_runtime.server.board import Board, Field

__all__ = ["WAIT_S", "Recorder", "request"]

WAIT_S = 10


class Recorder:
    """A client behind postprocessing that handles every chunk at once, unless ``stuck``; or one
    that is called ``direct``."""

    def __init__(
        self,
        board: Board | None = None,
        *,
        stuck: bool = False,
        broken: bool = False,
        direct: bool = False,
    ) -> None:
        self.chunks: list[Chunk] = []
        self.error: Any = None
        self.error_after: int | None = None
        """How many chunks went before an error by way of postprocessing."""
        self.over = Event()
        self.board, self.stuck, self.broken, self.direct = board, stuck, broken, direct
        self.gone: bool | str = False
        self.asked = 0

    def client_gone(self) -> bool:
        assert self.direct
        assert not self.over.is_set()
        self.asked += 1
        if self.gone == "broken":
            raise RuntimeError("no such client")
        return bool(self.gone)

    def send(self, chunk: Chunk, *, final: bool) -> None:
        if self.broken:
            raise RuntimeError("no such request")
        assert not self.over.is_set()
        if chunk.details is not None and chunk.details.error:
            assert final and not self.direct
            self.error, self.error_after = parse_wire(chunk.details.error), len(self.chunks)
        else:
            self.chunks.append(chunk)
        if not self.stuck and not self.direct:
            assert self.board is not None
            self.board[Field.CHUNKS_HANDLED] += 1
        if final:
            self.over.set()

    def end(self) -> None:
        assert self.direct
        assert not self.over.is_set()
        self.over.set()

    def fail(self, error: RequestError) -> None:
        assert not self.over.is_set()
        self.error = error
        self.over.set()


def request(key: str = "k", **options: Any) -> GenerationRequest:
    fields = {n: options.pop(n) for n in ("stream", "deadline", "arrival") if n in options}
    given: dict[str, Any] = {"max_tokens": 50} | options
    sampling = SamplingParams(**given)
    return GenerationRequest(key=key, input_ids=[600, 601, 602], sampling=sampling, **fields)
