"""Ask an engine directly, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.errors import RequestError
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GenerationRequest, SamplingParams, TopLogProbs
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings

from gemma4_testing.engine_folders.trtllm_folder import double_env, make_folder

EOS = (1, 106, 50)
WAIT_S = 30


class Sink:
    def __init__(self) -> None:
        self.ids: list[int] = []
        self.log_probs: list[float] = []
        self.top: list[TopLogProbs] = []
        self.ends: list[Any] = []
        self.sizes: list[int] = []
        self.first, self.over = Event(), Event()

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        assert not self.ends, "tokens after the end"
        self.ids += ids
        self.sizes.append(len(ids))
        self.log_probs += log_probs or []
        self.top += top or []
        self.first.set()

    def finished(self, finish: EngineFinish) -> None:
        self.ends.append(finish)
        self.over.set()

    def failed(self, error: RequestError) -> None:
        self.ends.append(error)
        self.over.set()

    def wait(self) -> Any:
        assert self.over.wait(WAIT_S)
        assert len(self.ends) == 1
        return self.ends[0]


class BrokenSink(Sink):
    """Its first tokens cannot be delivered."""

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        raise OverflowError("no place for tokens")


def load_tensorrt_llm(
    checkpoint: Path,
    table: TokenTable,
    folder: Path,
    env: dict[str, str] | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Engine:
    """With the double in place of TensorRT-LLM."""
    make_folder(checkpoint, folder, **options)
    settings = settings or Settings(folder, folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (double_env() | (env or {})).items():
            patch.setenv(name, value)
        return create_engine(folder, read_manifest(folder), table, settings)


def ask(
    engine: Engine,
    ids: list[int],
    key: str = "k",
    sink: Sink | None = None,
    check: int = 0,
    **options: Any,
) -> Sink:
    given: dict[str, Any] = {"max_tokens": 20, "temperature": 0.0, "stop_token_ids": EOS} | options
    sampling = SamplingParams(**given)
    sink = sink or Sink()
    request = GenerationRequest(key=key, input_ids=ids, sampling=sampling, check=check)
    engine.submit(request, sink)
    return sink


def refusal(engine: Engine, ids: list[int], **options: Any) -> RequestError:
    """The error, raised at once or delivered."""
    try:
        end = ask(engine, ids, **options).wait()
    except RequestError as error:
        return error
    assert isinstance(end, RequestError)
    return end


def run(engine: Engine, ids: list[int], **options: Any) -> Sink:
    sink = ask(engine, ids, **options)
    end = sink.wait()
    assert isinstance(end, EngineFinish), end
    return sink
