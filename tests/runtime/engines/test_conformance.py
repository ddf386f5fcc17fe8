"""One suite, every engine: token ids in, token ids out, exactly one end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GenerationRequest, GuidedDecoding, SamplingParams
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.render import render
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import (
    EOS,
    WAIT_S,
    BrokenSink,
    Sink,
    ask,
    load_tensorrt_llm,
    refusal,
    run,
)


@pytest.fixture(scope="module")
def build(
    checkpoint: Path, table: TokenTable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Engine]]:
    """runtime -> its engine, built and loaded once."""
    made = {}

    def get(runtime: str) -> Engine:
        if runtime not in made:
            folder = tmp_path_factory.mktemp("engine") / runtime
            if runtime == "tensorrt_llm":
                made[runtime] = load_tensorrt_llm(checkpoint, table, folder)
                return made[runtime]
            pace = (
                {"decode_tokens_per_s": 500.0} if runtime == "synthetic" else {"precision": "f32"}
            )
            build_engine(
                BuildRequest(
                    checkpoint=checkpoint, out=folder, runtime=runtime, slots=2, max_queued=3,
                    max_total_tokens=2000, skip_verify=runtime == "llama_cpp", **pace,
                ),
                SilentReporter(),
            )  # fmt: skip
            settings = Settings(folder, folder, threads=1)
            made[runtime] = create_engine(folder, read_manifest(folder), table, settings)
        return made[runtime]

    yield get
    for engine in made.values():
        engine.close()


@pytest.fixture(params=["llama_cpp", "synthetic", "tensorrt_llm"])
def engine(request: pytest.FixtureRequest, build: Callable[[str], Engine]) -> Engine:
    return build(request.param)


@pytest.fixture(params=["llama_cpp", "tensorrt_llm"])
def model(request: pytest.FixtureRequest, build: Callable[[str], Engine]) -> Engine:
    """An engine that has a model."""
    return build(request.param)


@pytest.fixture
def llama(build: Callable[[str], Engine]) -> Engine:
    return build("llama_cpp")


def test_length(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    sink = run(engine, encode("Count from 1 to 50"), max_tokens=7)
    assert len(sink.ids) == 7
    assert sink.ends[0].reason == "length"
    assert all(0 <= i < engine.info.vocab_size for i in sink.ids)


def test_more_requests_than_slots(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    sinks = [ask(engine, encode("Hello"), key=f"k{i}", max_tokens=5) for i in range(5)]
    assert all(isinstance(sink.wait(), EngineFinish) for sink in sinks)
    assert engine.stats().active == 0


def test_full_queue(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    sinks = [
        ask(engine, encode("Hello"), key=f"f{i}", max_tokens=1500, min_tokens=1500)
        for i in range(5)
    ]
    with pytest.raises(RequestError, match="retry later") as caught:
        ask(engine, encode("Hello"), key="one more")
    assert caught.value.status is Status.UNAVAILABLE
    info = engine.info
    assert caught.value.code == Code.QUEUE_FULL
    assert caught.value.details == {"slots": info.slots, "max_queued": info.max_queued}
    for i in range(5):
        engine.cancel(f"f{i}")
    assert {sink.wait().reason for sink in sinks} == {"cancelled"}


def test_a_check_of_the_quality_gate_is_alone_and_uncounted(
    engine: Engine, encode: Callable[[str], list[int]]
) -> None:
    prompt, before = encode("Count from 1 to 5"), engine.stats()
    wanted = run(engine, prompt, max_tokens=6).ids
    used = engine.stats()
    assert used.submitted == before.submitted + 1
    check = ask(engine, prompt, key="check", check=1, max_tokens=6)
    end = check.wait()
    assert (check.ids, end.cached_tokens) == (wanted, 0)
    running = ask(engine, prompt, key="user", max_tokens=1500, min_tokens=1500)
    with pytest.raises(RequestError) as caught:
        ask(engine, prompt, key="check", check=1, max_tokens=6)
    assert caught.value.status is Status.UNAVAILABLE
    engine.cancel("user")
    assert running.wait().reason == "cancelled"
    long = ask(engine, prompt, key="check", check=1, max_tokens=1500, min_tokens=1500)
    assert long.first.wait(WAIT_S)
    now = engine.stats()
    assert (now.active, now.queued) == (0, 0)
    assert (now.submitted, now.finished) == (used.submitted + 1, used.finished)
    users = [
        ask(engine, prompt, key=f"u{i}", max_tokens=900, min_tokens=900) for i in range(5)
    ]  # slots and queue: the check takes no room
    began = time.monotonic()
    engine.cancel("check")
    assert long.wait().reason == "cancelled"
    assert time.monotonic() - began < 0.5
    assert engine.stats().generated_tokens <= used.generated_tokens + 1500 + 6 * 900
    for i in range(5):
        engine.cancel(f"u{i}")
    assert {sink.wait().reason for sink in users} == {"cancelled"}
    assert engine.stats().submitted == used.submitted + 6


def test_cancel_running_and_waiting(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    sinks = [
        ask(engine, encode("Hello"), key=f"c{i}", max_tokens=1500, min_tokens=1500)
        for i in range(3)
    ]
    assert sinks[0].first.wait(WAIT_S)
    assert engine.stats().queued == 1
    engine.cancel("c2")  # waits
    assert sinks[2].wait().reason == "cancelled"
    assert sinks[2].ids == []
    engine.cancel("c0")
    engine.cancel("c1")
    assert sinks[0].over.wait(0.5) and sinks[1].over.wait(0.5)
    assert engine.stats().active == 0
    engine.cancel("c0")  # gone already


def test_many_cancels_leave_nothing(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    ids, threads = encode("Hello"), threading.active_count()
    before = engine.stats()
    for i in range(200):
        sink = ask(engine, ids, key=f"m{i}", max_tokens=1500, min_tokens=1500)
        if i % 2:
            sink.first.wait(WAIT_S)
        engine.cancel(f"m{i}")
        assert sink.wait().reason == "cancelled"
    stats = engine.stats()
    assert (stats.active, stats.queued) == (0, 0)
    assert stats.cancelled - before.cancelled == 200
    assert threading.active_count() == threads


class CancelsAnother(Sink):
    """Cancels the other request as its own ends, in the engine's thread."""

    def __init__(self, engine: Engine, other: str) -> None:
        super().__init__()
        self.engine, self.other = engine, other

    def finished(self, finish: EngineFinish) -> None:
        self.engine.cancel(self.other)
        super().finished(finish)


def test_a_cancel_as_another_request_ends(
    engine: Engine, encode: Callable[[str], list[int]]
) -> None:
    ids, long = encode("Hello"), dict[str, Any](max_tokens=1500, min_tokens=1500)
    other = ask(engine, ids, key="other", **long)
    one = ask(engine, ids, key="one", sink=CancelsAnother(engine, "other"), **long)
    assert other.first.wait(WAIT_S) and one.first.wait(WAIT_S)
    engine.cancel("one")
    assert one.wait().reason == other.wait().reason == "cancelled"
    assert engine.stats().active == 0


def test_counters(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    ids, before = encode("Hello"), engine.stats()
    run(engine, ids, max_tokens=4, min_tokens=4)
    after = engine.stats()
    assert after.submitted - before.submitted == after.finished - before.finished == 1
    assert after.generated_tokens - before.generated_tokens == 4
    assert after.prompt_tokens - before.prompt_tokens == len(ids)


def test_a_key_is_used_once(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    sink = ask(engine, encode("Hello"), key="same", max_tokens=500, min_tokens=500)
    with pytest.raises(RequestError, match="in use"):
        ask(engine, encode("Hello"), key="same")
    engine.cancel("same")
    sink.wait()


def test_a_sink_that_breaks_ends_one_request(
    engine: Engine, encode: Callable[[str], list[int]]
) -> None:
    beside = ask(engine, encode("Hello"), key="beside", max_tokens=60, min_tokens=60)
    bad = ask(engine, encode("Hello"), key="bad", sink=BrokenSink(), max_tokens=60, min_tokens=60)
    end = bad.wait()
    assert isinstance(end, RequestError) and end.status is Status.INTERNAL
    assert "no place for tokens" in end.message and end.code == Code.ENGINE_FAILED
    assert beside.wait().reason == "length" and len(beside.ids) == 60
    assert len(run(engine, encode("Hello"), max_tokens=5, min_tokens=5).ids) == 5
    assert engine.stats().active == 0


def test_stop_token_is_delivered(model: Engine, encode: Callable[[str], list[int]]) -> None:
    sink = run(model, encode("What is the capital of France?"), max_tokens=100)
    assert sink.ids[-1] == 106
    assert sink.ends[0].reason == "stop"


def answer(engine: Engine, ids: list[int], table: TokenTable, **options: Any) -> tuple[Any, ...]:
    """Text, reason and stop reason of what an engine says, as a client gets them."""
    request = ask(engine, ids, **options)
    assert isinstance(request.wait(), EngineFinish)
    sampling = SamplingParams(max_tokens=20, **{"stop_token_ids": EOS} | options)
    assembler = StreamAssembler(GenerationRequest("k", ids, sampling), table, prompt_tokens=1)
    assembler.push(request.ids)
    assembler.finish(request.ends[0].reason)
    chunk = assembler.take()
    return render(chunk).text_output, chunk.finish_reason, render(chunk).stop_reason


def test_what_the_caller_named_ends_the_answer(
    engine: Engine, encode: Callable[[str], list[int]], table: TokenTable
) -> None:
    ids = encode("Count from 1 to 50")
    plain = run(engine, ids).ids
    token = next(t for t in plain[3:] if t not in table.special)
    before = [table.pieces[t] for t in plain[: plain.index(token)] if t not in table.special]
    head, word = b"".join(before).decode(), table.pieces[token].decode()
    stops = {"stop_token_ids": (*EOS, token), "named_stop_ids": (token,)}
    assert answer(engine, ids, table, **stops) == (head, "stop", token)
    kept = answer(engine, ids, table, **stops, include_stop=True)
    assert kept == (head + word, "stop", token)
    whole = answer(engine, ids, table)[0]
    stop = whole[2:5]
    assert answer(engine, ids, table, stop=(stop,)) == (whole[: whole.index(stop)], "stop", stop)
    end = whole.index(stop) + len(stop)
    kept = answer(engine, ids, table, stop=(stop,), include_stop=True)
    assert kept == (whole[:end], "stop", stop)


def test_greedy_and_seeds_repeat(model: Engine, encode: Callable[[str], list[int]]) -> None:
    ids = encode("Tell me a long story")
    assert run(model, ids).ids == run(model, ids).ids
    hot = {"temperature": 5.0, "top_k": 0, "top_p": 1.0}
    assert run(model, ids, seed=5, **hot).ids == run(model, ids, seed=5, **hot).ids
    assert run(model, ids, seed=5, **hot).ids != run(model, ids, seed=6, **hot).ids


def test_every_id_arrives_even_of_broken_characters(
    model: Engine, encode: Callable[[str], list[int]], table: TokenTable
) -> None:
    """Banning whole characters forces byte tokens, whose text llama.cpp would withhold."""
    others = tuple(i for i in range(model.info.vocab_size) if i not in table.byte_ids)
    sink = run(model, encode("Hello"), bad_token_ids=others, max_tokens=40)
    assert len(sink.ids) == 40
    assert set(sink.ids) <= table.byte_ids


def test_min_tokens(model: Engine, encode: Callable[[str], list[int]]) -> None:
    sink = run(model, encode("Hello"), min_tokens=60, max_tokens=70)
    assert 60 <= len(sink.ids) <= 70
    assert not set(sink.ids[:60]) & set(EOS)


def test_log_probs(model: Engine, encode: Callable[[str], list[int]]) -> None:
    sink = run(model, encode("Hello"), log_probs=True)
    assert len(sink.log_probs) == len(sink.ids)
    assert all(p <= 1e-6 for p in sink.log_probs)


def test_top_log_probs(model: Engine, encode: Callable[[str], list[int]]) -> None:
    """The chosen token is among them when it was the most probable, and its number is its own."""
    sink = run(model, encode("Hello"), log_probs=True, top_log_probs=20)
    assert len(sink.top) == len(sink.log_probs) == len(sink.ids)
    for token, log_prob, top in zip(sink.ids, sink.log_probs, sink.top, strict=True):
        assert len(dict(top)) == 20 and top[0][0] == token
        assert top[0][1] == pytest.approx(log_prob, abs=1e-6)
        assert [p for _, p in top] == sorted((p for _, p in top), reverse=True)
    banned = run(
        model, encode("Hello"), log_probs=True, top_log_probs=1, bad_token_ids=sink.ids[:1]
    )
    assert banned.ids[0] != sink.ids[0] and len(banned.top[0]) == 1
    assert not run(model, encode("Hello"), log_probs=True).top


def test_bad_tokens(model: Engine, encode: Callable[[str], list[int]]) -> None:
    ids = encode("Count from 1 to 20")
    first = run(model, ids).ids[0]
    assert first not in run(model, ids, bad_token_ids=(first,)).ids


def test_logit_bias(model: Engine, encode: Callable[[str], list[int]]) -> None:
    """-100 bans, 100 leaves no other; with penalties too, and with a banned token."""
    ids = encode("Count from 1 to 20")
    plain = run(model, ids, log_probs=True)
    first = plain.ids[0]
    without = ask(model, ids, logit_bias=((first, -100.0),))
    assert without.over.wait(10 * WAIT_S)  # the double imports torch now, TensorRT-LLM long ago
    assert isinstance(without.wait(), EngineFinish) and first not in without.ids
    other = next(t for t in range(700, 800) if t not in plain.ids)
    always = {"logit_bias": ((other, 100.0),), "max_tokens": 5}
    assert run(model, ids, **always).ids == [other] * 5
    assert run(model, ids, **always, frequency_penalty=0.5, presence_penalty=0.5).ids == [other] * 5
    assert run(model, ids, **always, min_tokens=3).ids == [other] * 5
    assert other not in run(model, ids, **always, bad_token_ids=(other,)).ids
    # As little as the next most probable token lacks is enough, and not less.
    top = run(model, ids, log_probs=True, top_log_probs=2).top[0]
    lack = top[0][1] - top[1][1]
    for more, best in ((0.01, top[1][0]), (-0.01, first)):
        assert run(model, ids, logit_bias=((top[1][0], lack + more),)).ids[0] == best


def test_prompt_cache(llama: Engine, encode: Callable[[str], list[int]]) -> None:
    ids = encode("Hello " * 100)
    run(llama, ids, max_tokens=2)
    assert run(llama, ids, max_tokens=2).ends[0].cached_tokens > 0.5 * len(ids)


def text_of(sink: Any, table: TokenTable) -> str:
    return b"".join(table.pieces[i] for i in sink.ids if i not in EOS).decode()


def test_guides(model: Engine, encode: Callable[[str], list[int]], table: TokenTable) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    guided = run(
        model, encode("Hi"), guided=GuidedDecoding("json_schema", json.dumps(schema)), max_tokens=60
    )
    jsonschema.validate(json.loads(text_of(guided, table)), schema)
    regex = run(model, encode("Hi"), guided=GuidedDecoding("regex", "[0-9]{4}"))
    assert text_of(regex, table).isdigit() and len(text_of(regex, table)) == 4
    grammar = run(model, encode("Hi"), guided=GuidedDecoding("grammar", 'root ::= "yes" | "no"'))
    assert text_of(grammar, table) in ("yes", "no")


@pytest.mark.parametrize(
    "guide",
    [
        GuidedDecoding("grammar", "root ::= ((("),
        GuidedDecoding("grammar", "nonsense"),
        GuidedDecoding("regex", "(?=lookahead)"),
        GuidedDecoding("json_schema", '{"$ref": "#/nowhere"}'),
    ],
    ids=["open", "no root", "lookahead", "dangling ref"],
)
def test_guides_that_cannot_work(
    model: Engine, encode: Callable[[str], list[int]], guide: GuidedDecoding
) -> None:
    end = refusal(model, encode("Hi"), guided=guide)
    assert end.status is Status.INVALID_ARGUMENT
    grammar = guide.kind == "grammar"
    assert end.code == (Code.INVALID_GRAMMAR if grammar else Code.GUIDE_UNSUPPORTED)
    assert end.field == "guided_decoding_guide"
    run(model, encode("Hello"), max_tokens=2)
