"""``--input text``: OpenAI's body through the gateway's code, without Dynamo and without servers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from gemma4_client import Delta, InvalidRequestError
from gemma4_client.request import chat_request, text_request
from gemma4_dynamo.refused import RefusedError
from gemma4_dynamo.text_request import TextRequest, read_text
from gemma4_dynamo.token_texts import TokenTexts

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def delta(**values: Any) -> Delta:
    shown: dict[str, Any] = {
        "text": "", "reasoning": "", "tool_calls": [], "finish_reason": "", "index": 0,
        "prompt_tokens": 7, "completion_tokens": 1, "ids": [5], "log_probs": [], "timings": None,
    }  # fmt: skip
    return Delta(**shown | values)


class Texts(TokenTexts):
    """Without a server."""

    def __init__(self) -> None:
        self.known = {5: b"He", 6: b"llo", 7: b"x"}

    async def learn(self, tokens: Any) -> dict[int, bytes]:
        return self.known


class Asks:
    """Notes what was asked, and lets the SDK check it."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def chat(
        self, messages: Any, *, tools: Any, timeout: Any, request_id: str, **options: Any
    ) -> Any:
        self.asked = {"messages": messages, "tools": tools} | options
        return chat_request(messages, options, tools=tools)

    def generate(
        self, text: Any, *, prompt_token_ids: Any, timeout: Any, request_id: str, **options: Any
    ) -> Any:
        self.asked = {"text": text, "ids": prompt_token_ids} | options
        return text_request(text, options, prompt_token_ids=prompt_token_ids)


def asked_of(**body: Any) -> dict[str, Any]:
    asks = Asks()
    read_text(HELLO | body).start(asks, request_id="r", timeout=9)  # type: ignore[arg-type]
    return asks.asked


def chunks(request: TextRequest, *deltas: Delta) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        return [c for d in deltas for c in await request.chunks(d, Texts())]

    return asyncio.run(read())


def test_a_chat_is_asked_with_messages() -> None:
    asked = asked_of(temperature=0, max_tokens=5, seed=3, stop=["x"], min_tokens=2)
    assert asked["messages"] == HELLO["messages"] and asked["tools"] is None
    assert (asked["temperature"], asked["max_tokens"], asked["min_tokens"]) == (0, 5, 2)
    assert (asked["random_seed"], asked["stop_words"]) == (3, ["x"])


@pytest.mark.parametrize(("prompt", "found"), [("Hi", ("Hi", None)), ([2, 5], (None, [2, 5]))])
def test_a_completion_is_asked_with_text_or_ids(prompt: Any, found: Any) -> None:
    asks = Asks()
    request = read_text({"model": "m", "prompt": prompt, "max_tokens": 4})
    request.start(asks, request_id="r", timeout=9)  # type: ignore[arg-type]
    assert (asks.asked["text"], asks.asked["ids"]) == found
    (made,) = chunks(request, delta(text="x"))
    assert made["object"] == "text_completion" and made["choices"][0]["text"] == "x"


def test_the_answer_is_that_of_the_gateway() -> None:
    request = read_text(HELLO | {"tools": [{"type": "function", "function": {"name": "f"}}]})
    found = chunks(
        request,
        delta(reasoning="Hm."),
        delta(text="He", index=1),
        delta(tool_calls=[CALL], finish_reason="tool_calls", index=2, completion_tokens=3),
    )
    assert {c["object"] for c in found} == {"chat.completion.chunk"}
    assert len({(c["id"], c["model"]) for c in found}) == 1
    deltas = [choice["delta"] for c in found for choice in c["choices"]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1] == {"reasoning_content": "Hm."} and deltas[2] == {"content": "He"}
    assert deltas[3] == {"tool_calls": [{"index": 0} | CALL]}
    assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert found[-1]["usage"]["completion_tokens"] == 3, "though the client did not ask"


def test_log_probs() -> None:
    request = read_text(HELLO | {"logprobs": True, "top_logprobs": 1})
    found = chunks(
        request,
        delta(
            text="He", log_probs=[-0.5], text_tokens=[(0, 2)], top_log_probs=[[(7, -0.4)]],
            finish_reason="stop",
        ),
    )  # fmt: skip
    (place,) = next(
        c["choices"][0]["logprobs"]["content"]
        for c in found
        if c["choices"] and c["choices"][0]["logprobs"]
    )
    assert (place["token"], place["logprob"]) == ("He", -0.5)
    assert [(t["token"], t["logprob"]) for t in place["top_logprobs"]] == [("x", -0.4)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"n": 2, "temperature": 1}, "n: several answers are not supported"),
        ({"logit_bias": {"5": 1}, "temperature": -3}, "temperature"),
        ({"best_of": 2}, "best_of: not supported: use n"),
        ({"nonsense": 1}, "nonsense: no such parameter"),
        ({"nvext": {"cache_salt": "x"}}, "nvext: with --input text it has no effect"),
        ({"top_logprobs": 2}, "top_logprobs: needs logprobs"),
        ({"tool_choice": "required"}, "tool_choice: needs tools"),
    ],
)
def test_what_is_refused_is_named(body: dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        read_text(HELLO | body)


def test_several_prompts_are_refused() -> None:
    with pytest.raises(RefusedError, match="prompt: several answers"):
        read_text({"model": "m", "prompt": ["a", "b"]})


def test_what_dynamo_adds_is_no_option() -> None:
    extra = {"nvext": {}, "_HEALTH_CHECK": True, "request_timestamp_ms": 1.0, "seed": None}
    assert asked_of(**extra) == asked_of()


@pytest.mark.parametrize(
    "given",
    [
        {"enable_thinking": True},
        {"enable_thinking": True, "thinking": True, "thinking_mode": "thinking"},
        {"thinking": True},
    ],
)
def test_what_dynamo_renames_and_adds_is_the_same(given: dict[str, Any]) -> None:
    asked = asked_of(chat_template_args=given)
    assert asked == asked_of(chat_template_kwargs={"enable_thinking": True})
    assert asked["enable_thinking"] is True


@pytest.mark.parametrize("given", [7, {"nonsense": 1}, {"thinking_mode": "chat"}])
def test_template_options_that_are_wrong_are_named(given: Any) -> None:
    with pytest.raises(RefusedError, match="chat_template_kwargs"):
        read_text(HELLO | {"chat_template_args": given})


def test_a_refusal_of_the_engine_names_the_parameter() -> None:
    request = read_text(HELLO | {"max_completion_tokens": 9})
    error = InvalidRequestError("max_tokens: 9 is too many", field="max_tokens")
    assert request.refusal(error) == "max_completion_tokens: 9 is too many"


def test_the_guess_of_a_prompt_follows_its_length() -> None:
    short, long = (
        read_text(HELLO | {"messages": [{"role": "user", "content": "x" * n}]}).prompt_tokens
        for n in (4, 4000)
    )
    assert 1 <= short < 20 and 1000 <= long < 1020
    assert json.dumps(read_text(HELLO).cancelled()) == "[]"
