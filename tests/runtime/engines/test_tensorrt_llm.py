"""What a request gets of the TensorRT-LLM adapter: tokens, seeds, options, MTP. The double stands
in."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GuidedDecoding
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import EOS, WAIT_S, ask, refusal, run
from gemma4_testing.waiting import wait_until

HOT: dict[str, Any] = {"temperature": 5.0, "top_k": 0, "top_p": 1.0}
LONG: dict[str, Any] = {"max_tokens": 1900, "min_tokens": 1900}


def test_the_tokens_of_llama_cpp(
    shared: Engine,
    checkpoint: Path,
    table: TokenTable,
    encode: Callable[[str], list[int]],
    tmp_path: Path,
) -> None:
    build_engine(
        BuildRequest(
            checkpoint=checkpoint, out=tmp_path / "e", precision="f32", slots=2,
            max_total_tokens=2000, skip_verify=True,
        ),
        SilentReporter(),
    )  # fmt: skip
    settings = Settings(tmp_path / "e", tmp_path, threads=1)
    other = create_engine(tmp_path / "e", read_manifest(tmp_path / "e"), table, settings)
    for text in ("Hello", "Count from 1 to 50", "What is 7 + 8?"):
        for options in ({}, {"min_tokens": 30, "max_tokens": 40, "log_probs": True}):
            ours, theirs = run(shared, encode(text), **options), run(other, encode(text), **options)
            assert ours.ids == theirs.ids
            assert ours.log_probs == pytest.approx(theirs.log_probs, abs=1e-3)
            assert ours.ends[0].reason == theirs.ends[0].reason
    other.close()


def test_without_a_seed_answers_differ(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    """They share one generator, which goes on."""
    answers = {tuple(run(shared, encode("Hi"), **HOT).ids) for _ in range(3)}
    assert len(answers) == 3


def test_a_seed_is_reproducible_alone_and_not_beside_others(
    shared: Engine, encode: Callable[[str], list[int]]
) -> None:
    """What the docs say of this runtime, and why the SDK's cache keeps no such answer."""
    alone = run(shared, encode("Hi"), seed=7, **HOT).ids
    assert run(shared, encode("Hi"), seed=7, **HOT).ids == alone
    beside = ask(shared, encode("Hi"), key="first", seed=3, **(HOT | LONG))
    assert beside.first.wait(WAIT_S)
    assert run(shared, encode("Hi"), key="second", seed=7, **HOT).ids != alone
    shared.cancel("first")
    beside.wait()


def test_penalties_and_filters_arrive(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    ids = encode("Count from 1 to 50")
    plain = run(shared, ids, max_tokens=40).ids
    assert run(shared, ids, max_tokens=40, repetition_penalty=5.0).ids != plain
    assert run(shared, ids, max_tokens=40, frequency_penalty=2.0, presence_penalty=2.0).ids != plain
    narrow = {"temperature": 2.0, "top_k": 1, "top_p": 1.0}
    assert run(shared, ids, max_tokens=40, **narrow).ids == plain
    assert run(shared, ids, max_tokens=40, temperature=1.0, top_k=0, min_p=1.0).ids == plain


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bad_sequences": ((300, 301),)}, "bad_words: .* single token ids"),
        ({"guided": GuidedDecoding("json"), "min_tokens": 3}, "min_tokens: .* guide"),
        ({"guided": GuidedDecoding("grammar", "%llguidance {}\nstart: /a/")}, "GBNF"),
    ],
)
def test_what_the_api_cannot_say(
    shared: Engine, encode: Callable[[str], list[int]], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        ask(shared, encode("Hi"), **options)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert shared.stats().active == 0


def test_a_request_that_the_executor_refuses(shared: Engine) -> None:
    end = refusal(shared, [2, 5_000_000], max_tokens=1)
    assert end.status is Status.INTERNAL and "out of range" in end.message
    end = refusal(shared, [2] * 2000, max_tokens=1)
    assert "max_seq_len" in end.message
    run(shared, [2], max_tokens=1)


def test_deltas_come_in_steps_of_stream_interval(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(stream_interval=4)
    ids = encode("Count from 1 to 50")
    batches = []
    sink = ask(engine, ids, max_tokens=30)
    sink.tokens = lambda new, *_: batches.append(len(new))  # type: ignore[method-assign]
    assert sink.wait().reason == "length"
    assert sum(batches) in (29, 30)  # the first may have come before
    assert max(batches) == 4
    assert run(engine, encode("What is the capital of France?"), max_tokens=100).ids[-1] == 106


def test_figures_of_drafts(
    load: Callable[..., Any], encode: Callable[[str], list[int]], checkpoint: Path, tmp_path: Path
) -> None:
    engine = load(**mtp(checkpoint, tmp_path))
    assert engine.info.speculative
    sink = ask(engine, encode("Count from 1 to 100"), max_tokens=101)
    assert sink.wait().reason == "length"
    # Of 100 tokens after the first: drafts of 3, with 0, 1, 2, 3, 0, ... of them accepted.
    wait_until(lambda: engine.stats().drafts == 40, WAIT_S)
    found = engine.stats()
    assert (found.draft_tokens, found.accepted_tokens) == (120, 60)


def test_without_an_assistant_nothing_drafts(shared: Engine) -> None:
    assert not shared.info.speculative and shared.stats().drafts == 0


def mtp(checkpoint: Path, tmp_path: Path, **options: Any) -> dict[str, Any]:
    """Arguments with an assistant; the demo plays its part."""
    assistant = tmp_path / "assistant"
    shutil.copytree(checkpoint, assistant)
    config = {
        "decoding_type": "MTP", "max_draft_len": 3, "mtp_eagle_one_model": True,
        "speculative_model": str(assistant),
    }  # fmt: skip
    return {"speculative_config": config | options, "guided_decoding_backend": None}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"guided": GuidedDecoding("json")}, "guided_decoding_guide_type"),
        ({"repetition_penalty": 1.1}, "repetition_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"min_tokens": 4}, "min_tokens"),
        ({"bad_token_ids": (300,)}, "bad_words"),
        ({"logit_bias": ((300, 1.0),)}, "logit_bias"),
    ],
)
def test_limits_of_mtp(
    load: Callable[..., Any],
    checkpoint: Path,
    tmp_path: Path,
    encode: Callable[[str], list[int]],
    options: dict[str, Any],
    field: str,
) -> None:
    engine = load(**mtp(checkpoint, tmp_path))
    with pytest.raises(RequestError, match=f"{field}: .*MTP"):
        ask(engine, encode("Hello"), **options)
    assert run(engine, encode("Hello"), max_tokens=5, temperature=1.0, seed=3).ids


def test_mtp_with_penalties(
    load: Callable[..., Any], checkpoint: Path, tmp_path: Path, encode: Callable[[str], list[int]]
) -> None:
    engine = load(**mtp(checkpoint, tmp_path, enable_penalty=True))
    run(engine, encode("Hello"), repetition_penalty=1.1, max_tokens=5)


def test_an_engine_without_guides_says_so(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(guided_decoding_backend=None)
    with pytest.raises(RequestError, match="without guided decoding"):
        ask(engine, encode("Hello"), guided=GuidedDecoding("json"))


def test_stops_are_the_requests_own(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    ids = encode("Count from 1 to 50")
    plain = run(shared, ids).ids
    third = next(i for i in plain if plain.index(i) == 2)
    sink = run(shared, ids, stop_token_ids=(*EOS, third), log_probs=True)
    assert sink.ids == plain[:3] and sink.ends[0].reason == "stop"
    assert len(sink.log_probs) == len(sink.ids)


def test_a_cancel_is_fast(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    for i in range(20):
        sink = ask(shared, encode("Hello"), key=f"fast{i}", **LONG)
        sink.first.wait(WAIT_S)
        started = time.monotonic()
        shared.cancel(f"fast{i}")
        assert sink.wait().reason == "cancelled"
        assert time.monotonic() - started < 0.25
