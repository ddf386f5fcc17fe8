"""Token ids give the same answer as the text that they are of, bit for bit: through the SDK, and
through what the worker makes of Dynamo's request. ``DYNAMO_PROMPTS=1000`` tries so many."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from cluster import MODEL
from conftest import Cluster
from gemma4_client import Client
from gemma4_dynamo.request import read_request

PROMPTS = int(os.environ.get("DYNAMO_PROMPTS", "100"))
PIECES = (
    "Hello", " what", " is", " the", " weather", " in", " Paris", "?", ".", ", ", "\n", "\t", "  ",
    " 7", "3.14", "é", "ß", "Ж", "日本", "ا", "👋", "👩‍👩‍👧", "e\u0301", "\u200b", "\x00", "\ufffd", "{}", "\\",
    "<|turn>", "<turn|>", "<bos>", '<|"|>', "<|tool_call>", "<unused5>",
)  # fmt: skip
TOKENS = 3


def prompt(number: int) -> str:
    """Pieces in any order, and any characters between."""
    chance = random.Random(number)
    parts = [chance.choice(PIECES) for _ in range(chance.randint(1, 24))]
    for _ in range(chance.randint(0, 6)):
        code = chance.choice((chance.randrange(0xD800), chance.randrange(0xE000, 0x110000)))
        parts.insert(chance.randrange(len(parts) + 1), chr(code))
    return "".join(parts)


def as_dynamo_sends(ids: list[int]) -> dict[str, Any]:
    return {
        "token_ids": ids, "model": MODEL, "eos_token_ids": [1, 106, 50], "annotations": [],
        "sampling_options": {"temperature": 0.0, "n": None},
        "stop_conditions": {"max_tokens": TOKENS}, "output_options": {"logprobs": 0},
    }  # fmt: skip


@pytest.fixture
def ours(cluster: Cluster) -> Client:
    return Client(f"127.0.0.1:{cluster.servers[0].grpc}")


def test_ids_are_the_text(ours: Client) -> None:
    """The first answer fills the prompt cache, so log-probs are compared with a second one."""
    options: Any = {"max_tokens": TOKENS, "temperature": 0.0, "return_log_probs": True}
    for number in range(PROMPTS):
        text = prompt(number)
        ids = ours.tokenize(text).ids
        first = ours.generate(text, stream=False, **options).result()
        asked = read_request(as_dynamo_sends(ids), eos_ids=frozenset({1, 106, 50}))
        assert asked.options == options, "the worker adds nothing and drops nothing"
        answers = [
            ours.generate(text, stream=False, **options).result(),
            ours.generate(prompt_token_ids=ids, stream=False, **options).result(),
            ours.generate(prompt_token_ids=asked.token_ids, stream=False, **asked.options).result(),
        ]
        assert {tuple(a.ids) for a in answers} == {tuple(first.ids)}, (number, text)
        assert {tuple(a.log_probs) for a in answers} == {tuple(answers[0].log_probs)}, (
            number,
            text,
        )
        assert {a.prompt_tokens for a in answers} == {len(ids)}


def test_ids_through_the_frontend_are_the_text(cluster: Cluster, ours: Client) -> None:
    """A tenth of them the whole way. Dynamo's frontend makes text of its own of bytes that are no
    UTF-8, or only become it with the next token; the log-probs say that the tokens are the same."""
    client = cluster.client()
    for number in range(0, PROMPTS, 10):
        ids = ours.tokenize(prompt(number)).ids
        found = client.completions.create(
            model=MODEL, prompt=ids, max_tokens=TOKENS, temperature=0, logprobs=0
        )
        expected = ours.generate(
            prompt(number), max_tokens=TOKENS, temperature=0.0, return_log_probs=True
        ).result()
        (choice,) = found.choices
        assert choice.logprobs is not None and found.usage is not None
        assert choice.logprobs.token_logprobs == pytest.approx(expected.log_probs, abs=1e-3)
        assert found.usage.prompt_tokens == expected.prompt_tokens
        assert found.usage.completion_tokens == expected.completion_tokens
