"""What a user gets: right answers, the same through every interface."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from gemma4_client import Answer, Client, InvalidRequestError
from gemma4_testing.servers.served import Served, generate, user


def greedy(client: Client, text: str, **options: Any) -> Answer:
    return client.chat(user(text), temperature=0.0, **options).result()


def test_chat_once(server: Served) -> None:
    gemma4 = Path(sys.executable).with_name("gemma4")
    ran = subprocess.run(
        [gemma4, "chat", "--url", f"127.0.0.1:{server.grpc}", "--temperature", "0", "--once", "What is the capital of France?"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Paris" in ran.stdout


def test_http_generate_and_stream_agree(server: Served) -> None:
    body = {"messages": json.dumps(user("What is the capital of Japan?")), "temperature": 0.0}
    whole = generate(server, body)
    pieces = generate(server, body | {"stream": True}, stream=True)
    assert "Tokyo" in whole["text_output"]
    assert "".join(p["text_output"] for p in pieces) == whole["text_output"]
    assert [p["chunk_index"] for p in pieces] == list(range(len(pieces)))
    assert pieces[-1]["finish_reason"] == whole["finish_reason"] == "stop"
    assert pieces[-1]["completion_tokens"] == whole["completion_tokens"] == len(whole["output_ids"])


def test_streams_are_many_chunks(server: Served) -> None:
    with server.client() as client:
        deltas = list(client.chat(user("Count from 1 to 100"), temperature=0.0))
    assert len(deltas) > 5
    assert deltas[-1].timings.keys() >= {"queue", "prefill", "decode"}
    text = "".join(d.text for d in deltas)
    assert text.startswith("1 2 3") or text.startswith("1, 2, 3")


def test_streamed_whole_and_concurrent_are_equal(server: Served) -> None:
    prompts = ["What is 3 + 4?", "Tell me a joke", "Say hello in Thai", "Count from 1 to 20"] * 2
    with server.client() as client, ThreadPoolExecutor(8) as pool:
        alone = [greedy(client, p) for p in prompts]
        whole = [greedy(client, p, stream=False) for p in prompts]
        together = list(pool.map(lambda p: greedy(client, p), prompts))
    assert [a.ids for a in alone] == [a.ids for a in whole] == [a.ids for a in together]
    assert [a.text for a in alone] == [a.text for a in whole] == [a.text for a in together]


def test_thinking(server: Served) -> None:
    with server.client() as client:
        answer = greedy(client, "What is the capital of Italy?", enable_thinking=True)
    assert answer.reasoning
    assert "Rome" in answer.text
    assert "thought" not in answer.reasoning[:10]


def test_seeds(server: Served) -> None:
    with server.client() as client:
        first, again, other = (
            client.chat(
                user("Tell me a long story"), random_seed=seed, temperature=3.0, max_tokens=40
            )
            .result()
            .ids
            for seed in (7, 7, 8)
        )
    assert first == again != other


def test_stop_words_end_the_answer(server: Served) -> None:
    with server.client() as client:
        answer = greedy(client, "Count from 1 to 50", stop_words=["7 8"])
    assert answer.text.rstrip().endswith("6")
    assert answer.finish_reason == "stop"


def test_lengths(server: Served) -> None:
    with server.client() as client:
        short = greedy(client, "Count from 1 to 50", max_tokens=5)
        forced = greedy(client, "Hello", min_tokens=60, max_tokens=60)
    assert (short.completion_tokens, short.finish_reason) == (5, "length")
    assert (forced.completion_tokens, forced.finish_reason) == (60, "length")


def test_end_id_and_bad_words(server: Served) -> None:
    with server.client() as client:
        plain = greedy(client, "Count from 1 to 20")
        ended = greedy(client, "Count from 1 to 20", end_id=plain.ids[4])
        first = plain.text.split()[0]
        banned = greedy(client, "Count from 1 to 20", bad_words=[first], max_tokens=5)
    assert ended.ids == plain.ids[: plain.ids.index(plain.ids[4]) + 1]
    assert not banned.text.startswith(first)


def test_log_probs(server: Served) -> None:
    with server.client() as client:
        answer = greedy(client, "What is 1 + 1?", return_log_probs=True)
        without = greedy(client, "What is 1 + 1?")
    assert len(answer.log_probs) == len(answer.ids)
    assert all(p <= 1e-6 for p in answer.log_probs)
    assert without.log_probs == []


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def test_guided_json_schema(server: Served) -> None:
    with server.client() as client:
        answer = greedy(
            client,
            "Give me JSON",
            guided_decoding_guide_type="json_schema",
            guided_decoding_guide=json.dumps(SCHEMA),
            max_tokens=200,
        )
    jsonschema.validate(json.loads(answer.text), SCHEMA)


def test_guided_regex_and_grammar(server: Served) -> None:
    with server.client() as client:
        regex = greedy(
            client,
            "Hi",
            guided_decoding_guide_type="regex",
            guided_decoding_guide="[a-c]{3}-[0-9]{2}",
        )
        grammar = greedy(
            client,
            "Hi",
            guided_decoding_guide_type="grammar",
            guided_decoding_guide='root ::= "yes" | "no"',
        )
    assert len(regex.text) == 6
    assert regex.text[3] == "-"
    assert grammar.text in ("yes", "no")


def test_invalid_grammar_is_refused_and_harmless(server: Served) -> None:
    with server.client() as client:
        with pytest.raises(InvalidRequestError, match="guided_decoding_guide"):
            greedy(
                client,
                "Hi",
                guided_decoding_guide_type="grammar",
                guided_decoding_guide="root ::= (((",
            )
        assert greedy(client, "Hello").text


def test_prompt_cache(server: Served) -> None:
    system = {"role": "system", "content": "Be kind. " * 60}
    with server.client() as client:
        messages = [system, *user("Hello")]
        client.chat(messages, temperature=0.0).result()
        again = client.chat(messages, temperature=0.0).result()
    assert again.timings["cached_tokens"] > 0.5 * again.prompt_tokens


def test_echo(server: Served) -> None:
    with server.client() as client:
        answer = client.generate(
            "1 2 3", exclude_input_in_output=False, max_tokens=3, temperature=0.0
        ).result()
    assert answer.text.startswith("1 2 3")


def test_unary_calls_that_cannot_work_say_so(server: Served) -> None:
    url = f"http://127.0.0.1:{server.http}/v2/models/gemma4/infer"
    body = {
        "inputs": [{"name": "text_input", "shape": [1, 1], "datatype": "BYTES", "data": ["Hi"]}]
    }
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10)
    assert b"decoupled" in caught.value.read()
