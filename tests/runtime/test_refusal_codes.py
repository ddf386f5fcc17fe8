"""Codes of refusals that no engine and no client is needed for."""

from __future__ import annotations

import errno
import queue
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.messages import GuidedDecoding
from gemma4_runtime.preparation import service as service_module
from gemma4_runtime.preparation.client import PreparationClient
from gemma4_runtime.preparation.lanes import Lane
from gemma4_runtime.preparation.service import Service
from gemma4_runtime.preparation.wire import SOCKET_NAME
from gemma4_runtime.preparation.worker import KnownGuides, Worker
from gemma4_runtime.server.admission import Admission
from gemma4_runtime.server.board import BOARD_NAME, Board, Field


@pytest.mark.parametrize(
    ("values", "code", "details"),
    [
        ({Field.DRAINING: 1}, Code.DRAINING, {}),
        ({Field.GATE_CLOSED: 1}, Code.QUALITY_GATE_FAILED, {}),
        ({Field.IN_FLIGHT: 3}, Code.QUEUE_FULL, {"slots": 2, "max_queued": 1}),
    ],
)
def test_a_server_that_takes_no_more(tmp_path: Path, values: Any, code: Any, details: Any) -> None:
    board = Board(tmp_path / BOARD_NAME, create=True)
    for field, value in ({Field.SLOTS: 2, Field.MAX_QUEUED: 1} | values).items():
        board[field] = value
    admission = Admission(tmp_path, PreparationClient(tmp_path))
    with pytest.raises(RequestError) as caught:
        admission.admit(
            {}, request_id="", parameters={}, now=0.0, done=lambda _: None, gone=lambda: False
        )
    assert (caught.value.code, caught.value.details) == (code, details)


@pytest.mark.parametrize("grammar", ["nothing", "root ::= (", "root ::= missing"])
def test_a_grammar_that_is_none(grammar: str) -> None:
    with pytest.raises(RequestError) as caught:
        guide_grammar(GuidedDecoding("grammar", grammar))
    assert caught.value.code == Code.INVALID_GRAMMAR
    assert caught.value.field == "guided_decoding_guide"


def test_an_engine_says_what_it_cannot_do_with_what() -> None:
    for conflict in CAPABILITIES["llama_cpp"].conflicts:
        assert conflict.option != conflict.other


class Preparing:
    """In place of a worker: it is asked nothing here."""

    known = KnownGuides()

    def prepare(self, work: object, step: object) -> bytes:
        raise AssertionError("the request needs a process of its own")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Path]:
    """The run folder of a preparation service, which runs in a thread here."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / SOCKET_NAME))
        listener.listen()
        ours, theirs = socket.socketpair()
        places = {Lane.SHORT: 1, Lane.LONG: 1}
        worker = cast(Worker, Preparing())
        service = Service(worker, listener, theirs, most_messages=1, places=places)
        thread = Thread(target=service.run)
        thread.start()
        yield tmp_path
        ours.close()
        thread.join()
        theirs.close()


def test_a_machine_without_processes_left(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fork(*_: object, **__: object) -> object:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(service_module, "start_child", fork)
    client = PreparationClient(serving)
    answers: queue.SimpleQueue[object] = queue.SimpleQueue()
    client.ask(
        {"text_input": "x" * 50_000},
        kind="request",
        done=answers.put,
        gone=lambda: False,
        now=0.0,
    )
    refused = answers.get(timeout=10)
    assert isinstance(refused, RequestError)
    assert refused.code == Code.MACHINE_OVERLOADED
    client.close()
