"""What is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_load.errors import OptionError
from gemma4_load.workloads.base import Reply
from gemma4_load.workloads.lengths import Length, parse_length
from gemma4_load.workloads.sampled import parse_sampling
from gemma4_load.workloads.spec import WorkloadSpec
from gemma4_load.workloads.trace import Trace, read_trace
from gemma4_load.workloads.words import COMMON, Words, single_token_words


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def size(message: dict[str, str]) -> int:
    return len(message["content"].split())


@pytest.mark.parametrize(
    ("text", "low", "high", "mean"),
    [
        ("7", 7, 7, 7),
        ("uniform:2:6", 2, 6, 4),
        ("normal:100:10", 50, 150, 100),
        ("lognormal:100:0.5", 1, 2000, 100 * np.exp(0.125)),
    ],
)
def test_lengths(text: str, low: int, high: int, mean: float) -> None:
    random, length = rng(), parse_length("--x", text)
    assert str(length) == text
    drawn = [length.draw(random) for _ in range(4000)]
    assert low <= min(drawn) and max(drawn) <= high
    assert np.mean(drawn) == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-3",
        "x",
        "nan",
        "uniform:1",
        "uniform:9:2",
        "normal:5:-1",
        "poisson:3",
        "normal:5:x",
    ],
)
def test_bad_lengths(text: str) -> None:
    with pytest.raises(OptionError, match="--output-tokens"):
        parse_length("--output-tokens", text)


def test_words_reach_the_wanted_number_of_tokens() -> None:
    words = Words(tuple(COMMON), per_word=2.0, overhead=10)
    assert size(words.message(rng(), 110)) == 50
    assert size(words.message(rng(), 3)) == 1
    assert Words.measured([215, 615]) == Words(tuple(COMMON), 2.0, 15)


def test_single_token_words() -> None:
    pieces = [b" time", b"time", "▁way".encode(), b" T", b" it's", b"\xe2\x96", b" time"]
    assert single_token_words(pieces) == ["time", "way"]


def test_lengths_share_no_prefix_and_repeat_with_the_seed() -> None:
    made = WorkloadSpec(prompt=Length("fixed", 50), output=Length("uniform", 5, 9)).make(Words())
    first, again, other = (made.first(rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.messages != other.messages
    assert first.options["min_tokens"] == first.options["max_tokens"]


def test_chat_shares_its_system_prompt_and_carries_answers() -> None:
    spec = WorkloadSpec(kind="chat", turns=3, system_tokens=30)
    made = spec.make(Words())
    first, other = made.first(rng(1)), made.first(rng(2))
    assert first.messages[0] == other.messages[0]
    second = made.follow(first, Reply(text="blue"), rng(3))
    assert second.messages[:-1] == [*first.messages, {"role": "assistant", "content": "blue"}]
    third = made.follow(second, Reply(text="red"), rng(4))
    assert made.follow(third, Reply(text="end"), rng(5)) is None
    assert [m["role"] for m in third.messages] == ["system", *["user", "assistant"] * 2, "user"]


def test_tools_answer_the_call() -> None:
    made = WorkloadSpec(kind="tools").make(Words())
    ask = made.first(rng())
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    second = made.follow(ask, Reply(tool_calls=[call]), rng())
    assert second.messages[-1]["tool_call_id"] == "c1"
    assert json.loads(second.messages[-1]["content"])["sky"] == "clear"
    assert made.follow(second, Reply(tool_calls=[call]), rng()) is None
    assert made.follow(ask, Reply(text="no"), rng()) is None


def test_cancels_leave_in_the_middle() -> None:
    spec = WorkloadSpec(output=Length("fixed", 20), cancel_share=0.25)
    asks = [spec.make(Words()).first(rng(seed)) for seed in range(800)]
    leaving = [ask.leave_after for ask in asks if ask.leave_after is not None]
    assert len(leaving) / 800 == pytest.approx(0.25, abs=0.05)
    assert min(leaving) >= 1 and max(leaving) < 20


def test_unknown_workload() -> None:
    with pytest.raises(OptionError, match="--workload poems: known are lengths, chat"):
        WorkloadSpec(kind="poems").make(Words())


LINE = {"timestamp": 1000, "input_length": 1100, "output_length": 5, "hash_ids": [7, 8, 9]}


def trace(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_trace_times_lengths_and_shared_blocks(tmp_path: Path) -> None:
    other = LINE | {"timestamp": 3000, "hash_ids": [7, 8, 11]}
    chat = {"timestamp": 4000, "output_length": 2, "messages": [{"role": "user", "content": "Hi"}]}
    path = trace(tmp_path, json.dumps(LINE), "", json.dumps(other), json.dumps(chat))
    asks = list(Trace(read_trace(path), Words(overhead=20), speed=2.0).asks(seed=0))
    assert [ask.at for ask in asks] == [0.0, 1.0, 1.5]
    texts = [ask.messages[0]["content"].split() for ask in asks]
    assert len(texts[0]) == len(texts[1]) == 1080
    assert texts[0][:1024] == texts[1][:1024]
    assert texts[0][1024:] != texts[1][1024:]
    assert texts[2] == ["Hi"]
    assert asks[0].options == {"max_tokens": 5, "min_tokens": 5}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ({"timestamp": None}, "line 2: timestamp is None"),
        ({"timestamp": 10}, "line 2: timestamp 10 is before the line above"),
        ({"timestamp": -1}, "line 2: timestamp is -1"),
        ({"input_length": 0}, "line 2: input_length is 0"),
        ({"input_length": "12"}, "line 2: input_length is '12'"),
        ({"output_length": True}, "line 2: output_length is True"),
        ({"output_length": float("nan")}, "line 2: output_length is nan"),
        ({"hash_ids": "x"}, "line 2: hash_ids"),
        ({"messages": []}, "line 2: messages"),
        ({"prompt": "x"}, "line 2: unknown field 'prompt'"),
    ],
)
def test_malformed_traces(tmp_path: Path, change: dict[str, Any] | str, said: str) -> None:
    second = change if isinstance(change, str) else json.dumps(LINE | change)
    with pytest.raises(OptionError, match=said):
        read_trace(trace(tmp_path, json.dumps(LINE), second))


def test_traces_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no requests in it"):
        read_trace(trace(tmp_path, "", "  "))
    with pytest.raises(OptionError, match="No such file"):
        read_trace(tmp_path / "absent.jsonl")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe{}")
    with pytest.raises(OptionError, match="not UTF-8"):
        read_trace(tmp_path / "bytes")


def test_sampling_is_of_every_request() -> None:
    """Of the next turns of a chat too; what the workload set stays."""
    sampling = parse_sampling(["temperature=0.7", "top_k=40"])
    assert sampling == {"temperature": 0.7, "top_k": 40} and isinstance(sampling["top_k"], int)
    workload = WorkloadSpec(kind="chat", turns=2, sampling=sampling).make(Words())
    ask = workload.first(rng())
    for _ in range(2):
        assert ask.options["temperature"] == 0.7 and ask.options["top_k"] == 40
        assert ask.options["max_tokens"] == 64
        ask = workload.follow(ask, Reply("yes"), rng())
    assert ask is None


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["heat=1"], "use NAME=VALUE; names are temperature, top_k"),
        (["temperature"], "use NAME=VALUE"),
        (["temperature=hot"], "'hot' is no number"),
        (["top_k=1.5"], "'1.5' is no whole number"),
        (["top_p=nan"], "must be finite"),
        (["top_p=0.5", "top_p=0.6"], "top_p is given twice"),
    ],
)
def test_bad_sampling(texts: list[str], says: str) -> None:
    with pytest.raises(OptionError, match="--sampling") as caught:
        parse_sampling(texts)
    assert says in str(caught.value)
