"""Penalties against their formula, applied to the logits of a float32 reference of the checkpoint.

The engine generates; one forward pass of the reference over prompt and answer gives the logits of
every step; penalised by the formula, the token that the engine chose must be the best.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_build.checkpoint import open_checkpoint
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.reference import reference_logits
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GuidedDecoding
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import EOS, ask, load_tensorrt_llm, run

SLACK = 0.02
"""Nats by which the engine's own rounding may turn a near tie."""
LONG = (
    "You are a careful assistant. Answer in one short sentence, and never repeat the question. "
    "One, two, three, four, five, six, seven, eight, nine, ten. Paris is the capital of France. "
) * 8


@pytest.fixture(scope="module")
def engines(
    checkpoint: Path, table: TokenTable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Engine]]:
    folder = tmp_path_factory.mktemp("penalties")
    build_engine(
        BuildRequest(
            checkpoint=checkpoint, out=folder / "llama_cpp", precision="f32", slots=2,
            max_total_tokens=2000, skip_verify=True,
        ),
        SilentReporter(),
    )  # fmt: skip
    settings = Settings(folder / "llama_cpp", folder, threads=1)
    manifest = read_manifest(folder / "llama_cpp")
    made = {
        "llama_cpp": create_engine(folder / "llama_cpp", manifest, table, settings),
        "tensorrt_llm": load_tensorrt_llm(checkpoint, table, folder / "tensorrt_llm"),
    }
    yield made
    for engine in made.values():
        engine.close()


@pytest.fixture(params=["llama_cpp", "tensorrt_llm"])
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    return engines[request.param]


def penalised(
    logits: Any,
    prompt: str,
    answer: Any,
    *,
    repetition: float = 1.0,
    presence: float = 0.0,
    frequency: float = 0.0,
) -> Any:
    """transformers' ``RepetitionPenaltyLogitsProcessor`` over prompt and answer, then OpenAI's
    two over the answer alone; the order is vLLM's."""
    logits = logits.astype(np.float64)
    seen = np.unique([*prompt, *answer])
    logits[seen] = np.where(logits[seen] < 0, logits[seen] * repetition, logits[seen] / repetition)
    for token, count in Counter(answer).items():
        logits[token] -= count * frequency + presence
    return logits


def check(
    checkpoint: Path, prompt: str, ids: list[int], banned_until: int = 0, **penalties: Any
) -> None:
    with open_checkpoint(checkpoint) as opened:
        (rows,) = reference_logits(
            opened, [[*prompt, *ids[:-1]]], last=[len(ids)], reporter=SilentReporter()
        )
    for step, (row, chosen) in enumerate(zip(rows, ids, strict=True)):
        logits = penalised(row, prompt, ids[:step], **penalties)
        if step < banned_until:
            logits[list(EOS)] = -np.inf
        assert logits[chosen] >= logits.max() - SLACK, (
            f"step {step}: chose {chosen} at {logits[chosen]:.3f}, "
            f"{int(logits.argmax())} has {logits.max():.3f}"
        )


CASES = {
    "frequency": {"frequency": 1.0},
    "presence": {"presence": 1.0},
    "both": {"frequency": 0.5, "presence": 1.5},
    "most": {"frequency": 2.0, "presence": 2.0},
    "rewards": {"frequency": -0.3, "presence": -0.5},
    "repetition": {"repetition": 1.3},
    "repetition reward": {"repetition": 0.8},
}


def options(penalties: dict[str, float]) -> dict[str, float]:
    return {f"{name}_penalty": value for name, value in penalties.items()}


@pytest.mark.parametrize("penalties", CASES.values(), ids=CASES)
@pytest.mark.parametrize("question", ["Count from 1 to 50", LONG + "Count from 1 to 20"])
def test_the_formula(
    engine: Engine,
    checkpoint: Path,
    encode: Callable[[str], list[int]],
    penalties: dict[str, float],
    question: str,
) -> None:
    prompt = encode(question)
    sink = run(engine, prompt, max_tokens=80, **options(penalties))
    assert len(sink.ids) > 5
    check(checkpoint, prompt, sink.ids, **penalties)


def test_the_formula_with_a_least_length(
    engine: Engine, checkpoint: Path, encode: Callable[[str], list[int]]
) -> None:
    prompt = encode(LONG + "What is 7 + 8?")
    penalties = CASES["both"]
    sink = run(engine, prompt, min_tokens=40, max_tokens=60, **options(penalties))
    check(checkpoint, prompt, sink.ids, banned_until=40, **penalties)
    assert len(sink.ids) >= 40


def test_a_long_prompt_takes_nothing_from_the_answer(
    engine: Engine, encode: Callable[[str], list[int]]
) -> None:
    """A system prompt that has every word of the answer leaves the answer as it is."""
    prompt = encode(LONG + "What is the capital of France?")
    plain = run(engine, prompt, max_tokens=30).ids
    assert plain[-1] == 106 and len(set(plain) & set(prompt)) > 5
    for penalties in ({"presence": 1.0}, {"frequency": 1.0}, {"presence": 1.0, "frequency": 0.5}):
        assert run(engine, prompt, max_tokens=30, **options(penalties)).ids == plain


def test_log_probs_and_counts_are_of_one_answer(
    engine: Engine, encode: Callable[[str], list[int]]
) -> None:
    prompt = encode(LONG + "Count from 1 to 20")
    before = engine.stats()
    sink = run(engine, prompt, max_tokens=40, presence_penalty=1.0, log_probs=True)
    after = engine.stats()
    assert len(sink.log_probs) == len(sink.ids) == after.generated_tokens - before.generated_tokens
    assert all(p <= 1e-6 for p in sink.log_probs)
    assert after.prompt_tokens - before.prompt_tokens == len(prompt)


def test_seeds_repeat_and_every_token_is_drawn_anew(
    engine: Engine, encode: Callable[[str], list[int]]
) -> None:
    """A request may take several calls of llama.cpp; with one seed for all of them, each would
    begin with the same draw."""
    prompt = encode("Tell me a long story")
    hot = {"temperature": 5.0, "top_k": 0, "top_p": 1.0, "presence_penalty": 0.1, "max_tokens": 60}
    first = run(engine, prompt, seed=5, **hot).ids
    assert run(engine, prompt, seed=5, **hot).ids == first
    assert run(engine, prompt, seed=6, **hot).ids != first
    two = {"temperature": 100.0, "top_k": 0, "top_p": 1.0, "min_tokens": 1, "max_tokens": 2}
    assert any(len(set(run(engine, prompt, seed=seed, **two).ids)) == 2 for seed in range(8))


def test_cancel_while_penalised(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    sink = ask(
        engine, encode(LONG), key="c", max_tokens=1200, min_tokens=1200, presence_penalty=0.5
    )
    assert sink.first.wait(30)
    engine.cancel("c")
    assert sink.wait().reason == "cancelled"


GUIDE = GuidedDecoding("regex", "[a-z ]{20,40}")


def test_frequency_with_a_guide(engine: Engine, encode: Callable[[str], list[int]]) -> None:
    sink = run(engine, encode(LONG), guided=GUIDE, frequency_penalty=1.0, max_tokens=60)
    assert sink.ends[0].reason == "stop"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"presence_penalty": 0.5, "guided": GUIDE}, "presence_penalty"),
        ({"presence_penalty": 0.5, "repetition_penalty": 1.1}, "presence_penalty"),
        ({"frequency_penalty": 0.5, "repetition_penalty": 1.1}, "frequency_penalty"),
    ],
)
def test_what_llama_cpp_cannot_do_is_refused(
    engines: dict[str, Engine],
    encode: Callable[[str], list[int]],
    given: dict[str, Any],
    named: str,
) -> None:
    with pytest.raises(RequestError, match=named) as caught:
        ask(engines["llama_cpp"], encode("Hi"), **given)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert caught.value.field == named
