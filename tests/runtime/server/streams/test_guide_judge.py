"""An answer that does not keep to its guide is an error, and nobody else waits for the look at it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest
from gemma4_runtime.engines.synthetic import SyntheticEngine
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.messages import GuidedDecoding
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.streams.emitters import Emitters
from gemma4_runtime.server.streams.guide_judge import GuideJudge
from gemma4_runtime.server.streams.stream import Stream
from gemma4_testing.fakes.stream_recorder import WAIT_S, Recorder, request

GUIDE = GuidedDecoding("regex", "[a-z]+")
NO_PROCESS = RequestError(Code.PREPARATION_RESTARTING, "no process")


class Judge:
    """Answers when told to, in a thread of its own."""

    def __init__(self, verdict: RequestError | None = None) -> None:
        self.verdict, self.go, self.began = verdict, Event(), Event()

    def ask(self, stream: Stream, done: Callable[..., Any]) -> bool:
        if stream.request.sampling.guided is None:
            return False
        self.began.set()
        Thread(target=lambda: (self.go.wait(WAIT_S), done(self.verdict)), daemon=True).start()
        return True


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("direct", [True, False])
def test_a_broken_answer_ends_with_an_error(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    stream: bool,
    direct: bool,
) -> None:
    judge = Judge(
        RequestError(Code.GUIDE_NOT_KEPT, "the answer does not keep to its guide: it is prose")
    )
    judge.go.set()
    emitter, _, board, records = stack(judge=judge)
    out = Recorder(board, direct=direct)
    emitter.open(request(guided=GUIDE, stream=stream), out)
    assert out.over.wait(WAIT_S)
    assert out.error.status is Status.INTERNAL and "prose" in out.error.message
    assert not any(chunk.finish_reason for chunk in out.chunks)
    assert records[0].status == "INTERNAL"
    assert board[Field.IN_FLIGHT] == 0


def test_a_kept_one_ends_as_ever(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    judge = Judge()
    judge.go.set()
    emitter, _, board, _ = stack(judge=judge)
    out = Recorder(board)
    emitter.open(request(guided=GUIDE), out)
    assert out.over.wait(WAIT_S)
    assert out.error is None and out.chunks[-1].finish_reason == "length"
    assert [i for c in out.chunks for i in c.ids] == ([600, 601, 602] * 17)[:50]


def test_others_do_not_wait_for_it(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    judge = Judge()
    emitter, _, board, _ = stack(judge=judge)
    held, free = Recorder(board), Recorder(board)
    emitter.open(request("held", guided=GUIDE, max_tokens=2), held)
    judge.began.wait(WAIT_S)
    for number in range(20):
        free = Recorder(board)
        emitter.open(request(f"free{number}"), free)
        assert free.over.wait(WAIT_S) and free.error is None
    assert not held.over.is_set()
    judge.go.set()
    assert held.over.wait(WAIT_S) and held.error is None


def test_a_deadline_and_a_cancel_end_it_meanwhile(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    judge = Judge()
    emitter, _, board, _ = stack(judge=judge)
    out = Recorder(board)
    emitter.open(request("k", guided=GUIDE, max_tokens=2), out)
    judge.began.wait(WAIT_S)
    emitter.cancel("k")
    assert out.over.wait(WAIT_S) and out.error.status is Status.CANCELLED
    judge.go.set()  # and nothing is sent after the end: Recorder asserts it


class Client:
    def __init__(self, result: Callable[..., Any] | bytes | RequestError) -> None:
        self.result, self.asked = result, None

    def ask(
        self,
        values: dict[str, Any],
        *,
        kind: str,
        done: Callable[..., Any],
        gone: Callable[..., Any],
        now: float,
    ) -> None:
        self.asked = (kind, values)
        if self.result is NO_PROCESS:
            raise NO_PROCESS
        done(self.result)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (b"", None),
        (b"it is not JSON", Status.INTERNAL),
        (RequestError(Code.PREPARATION_RESTARTING, "the process is gone"), None),
        (RequestError(Code.DEADLINE_EXCEEDED, "late"), None),
        (NO_PROCESS, None),
    ],
    ids=["kept", "broken", "lost", "late", "refused"],
)
def test_only_a_verdict_is_an_error(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
    result: Callable[..., Any] | bytes | RequestError,
    status: Status | None,
) -> None:
    """The engine has enforced the guide; a look that cannot be had is no reason to fail."""
    client = Client(result)
    emitter, _, board, _ = stack(judge=GuideJudge(client))
    out = Recorder(board)
    emitter.open(request(guided=GUIDE, max_tokens=4), out)
    assert out.over.wait(WAIT_S)
    assert (out.error and out.error.status) == status
    kind, values = client.asked
    assert kind == "verdict"
    assert values["guided_decoding_guide"] == "[a-z]+" and values["complete"] is False
    assert isinstance(values["text"], bytes) and values["text"]


def test_no_guide_no_look(
    stack: Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]],
) -> None:
    client = Client(b"must not be asked")
    emitter, _, board, _ = stack(judge=GuideJudge(client))
    out = Recorder(board)
    emitter.open(request(), out)
    assert out.over.wait(WAIT_S)
    assert out.error is None and client.asked is None


def test_the_end_is_known(table: TokenTable) -> None:
    """What a limit or a stop string cut need not be whole."""

    def made(**options: Any) -> StreamAssembler:
        return StreamAssembler(
            request(guided=GUIDE, stop_token_ids=(106, 700), **options), table, prompt_tokens=1
        )

    by_token, by_text, by_word, by_limit = made(), made(), made(stop=("x",)), made()
    assert by_token.push([600, 106]) and by_token.complete
    assert by_text.push([600, 700]) and not by_text.complete
    by_word.push([table.pieces.index(b"x")])
    assert by_word.done and not by_word.complete
    by_limit.push([600])
    by_limit.finish("length")
    assert not by_limit.complete
    assert by_limit.guided_answer() == table.pieces[600]
