"""Random requests, valid and nearly valid, the same for the same seed and number.

A case is the inputs of `gemma4` and, where OpenAI's API can say the same, bodies for the gateway.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from gemma4_runtime.contract.inputs import SAMPLING

__all__ = ["Case", "made"]

DEMO = Path(__file__).parents[3] / "demo"
TEXTS = ["Hello", "Hi", "What is 7 + 8?", "Count from 1 to 20", "日本 👋🏽", "<|turn>user", " \n", "é" * 40,
         "<|channel>thought\nx<channel|>", "call:f{a:1}", "\u2028", "a" * 300, "What is the capital of France?"]  # fmt: skip
SCHEMAS: list[Any] = [
    {"type": "object"},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "properties": {"n": {"type": ["integer", "null"]}, "l": {"type": "array", "items": {"enum": [1, "x"]}}}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}}},
    {"type": "object", "properties": {"a": True, "b": {}, "c": {"const": 5}}, "additionalProperties": False},
    {"properties": None, "required": None},
]  # fmt: skip
BAD_SCHEMAS: list[Any] = [
    {"type": "array"}, {"type": "object", "properties": {"a": {"$ref": "http://x"}}}, {"type": 5}, [], "x",
    {"type": "object", "properties": {"a": {"pattern": "("}}},
]  # fmt: skip
GUIDES: list[tuple[str, str | None]] = [
    ("json", None), ("json_schema", json.dumps(SCHEMAS[1])), ("regex", "[a-c]{1,5}"), ("regex", "(yes|no)"),
    ("grammar", 'root ::= "yes" | "no"'), ("json_schema", '{"enum": ["a", "b", 3]}'),
]  # fmt: skip
BAD_GUIDES: list[tuple[str, str | None]] = [
    ("json", "x"), ("json_schema", "{"), ("regex", "("), ("regex", None), ("xml", "a"), ("grammar", "root ::= ("),
]  # fmt: skip


@dataclass
class Case:
    """``inputs`` by tensor name. ``chat``, ``completion``, ``response``: bodies without model and
    stream. ``plain``: the gateway is asked for exactly what the inputs ask for."""

    inputs: dict[str, Any]
    chat: dict[str, Any] | None = None
    completion: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    plain: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def greedy(self) -> bool:
        return self.inputs.get("temperature") == 0.0


@cache
def _asked() -> list[dict[str, Any]]:
    lines = (DEMO / "eval_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if len(json.dumps(entry)) < 4000]


def made(seed: int, number: int) -> Case:
    """Case ``number`` of a run."""
    random = Random(f"{seed}/{number}")
    case = Case({})
    _options(random, case)
    if random.random() < 0.25:
        _text(random, case)
    else:
        _chat(random, case)
    return case


def _often(random: Random, share: float) -> bool:
    return random.random() < share


def _options(random: Random, case: Case) -> None:
    options: dict[str, Any] = {
        "max_tokens": random.randint(1, 12),
        "temperature": 0.0 if _often(random, 0.85) else random.choice([0.7, 1.0, 5.0]),
    }
    some: dict[str, Any] = {
        "min_tokens": random.randint(0, 4), "top_k": random.choice([0, 1, 40]), "top_p": random.choice([0.5, 1.0]),
        "min_p": random.choice([0.0, 0.2, 1.0]), "repetition_penalty": random.choice([1.0, 1.3, 0.7]),
        "presence_penalty": random.choice([-1.0, 0.5, 2.0]), "frequency_penalty": random.choice([-0.5, 0.5, 2.0]),
        "random_seed": random.randrange(2**62), "bad_words": [random.choice(["x", "the", "é"])],
        "stop_words": random.sample(["a", " ", "\n", "the", "1", "日", ", ", "is c"], random.randint(1, 3)),
        "return_log_probs": True, "timeout_ms": 60_000,
    }  # fmt: skip
    some |= {o.name: o.example[0] for o in SAMPLING if o.name not in some | options}
    options |= {name: value for name, value in some.items() if _often(random, 0.12)}
    if _often(random, 0.12):
        kind, guide = random.choice(GUIDES if _often(random, 0.8) else BAD_GUIDES)
        options["guided_decoding_guide_type"] = kind
        if guide is not None:
            options["guided_decoding_guide"] = guide
    if _often(random, 0.12):
        name, value = random.choice([
            ("max_tokens", 0), ("max_tokens", -5), ("max_tokens", 5000), ("min_tokens", 99), ("temperature", -1.0),
            ("temperature", float("nan")), ("top_p", 0.0), ("top_k", -3), ("presence_penalty", 3.0), ("stop_words", [""]),
            ("stop_words", ["a"] * 40), ("bad_words", ["zqxj zqxj"]), ("end_id", -1), ("end_id", 107), ("pad_id", 7),
            ("timeout_ms", 0), ("timeout_ms", 1), ("repetition_penalty", 0.0), ("min_p", 2.0),
        ])  # fmt: skip
        options[name] = value
        case.notes.append(name)
    case.inputs |= options


_NAMES = {"random_seed": "seed", "stop_words": "stop"}


def _shared(case: Case) -> dict[str, Any]:
    """Options in OpenAI's words."""
    body: dict[str, Any] = {}
    for name, value in case.inputs.items():
        if name in ("end_id", "pad_id", "timeout_ms"):
            case.plain = False
        elif name.startswith("guided_") or name == "return_log_probs":
            continue
        elif not (isinstance(value, float) and math.isnan(value)):  # JSON has none
            body[_NAMES.get(name, name)] = value
        else:
            case.plain = False
    kind, guide = (case.inputs.get(f"guided_decoding_guide{end}") for end in ("_type", ""))
    if kind == "json" and guide is None:
        body["response_format"] = {"type": "json_object"}
    elif kind in ("regex", "grammar") and guide:
        body["structured_outputs"] = {kind: guide}
    elif kind == "json_schema" and guide != "{":
        assert guide is not None
        body["structured_outputs"] = {"json": json.loads(guide)}
    elif kind is not None:
        case.plain = False
    return body


def _text(random: Random, case: Case) -> None:
    text = random.choice(TEXTS)
    if _often(random, 0.2):
        text = random.choice(
            ["", "<|image|>x", "<bos>Hi", "<|turn>user\nHello<turn|>\n<|turn>model\n"]
        )
    body = _shared(case) | {"prompt": text}
    if case.inputs.get("return_log_probs"):
        body["logprobs"] = 0
    case.inputs["text_input"] = text
    if _often(random, 0.2):
        case.inputs["exclude_input_in_output"] = False
        body["echo"] = True
    if _often(random, 0.05):
        case.inputs["enable_thinking"] = True  # needs messages
        case.plain = False
    case.completion = body


def _chat(random: Random, case: Case) -> None:
    messages, tools, thinking = _conversation(random)
    if _often(random, 0.12):
        messages = _spoilt(random, messages)
        case.plain = False  # the gateway mends what clients are known to send
    if _often(random, 0.1):
        tools = [*tools, _tool("f", random.choice(SCHEMAS))]
    if _often(random, 0.05):
        tools = [
            *tools,
            random.choice([_tool("f", random.choice(BAD_SCHEMAS)), _tool("", {}), "x", {}]),
        ]
    body = _shared(case)
    if case.inputs.get("return_log_probs"):
        body["logprobs"] = True
    case.inputs["messages"] = json.dumps(messages)
    body["messages"] = messages
    if tools:
        case.inputs["tools"] = json.dumps(tools)
        body["tools"] = tools
        if "guided_decoding_guide_type" in case.inputs:
            case.plain = False  # the gateway lets the model call first
    if thinking:
        case.inputs["enable_thinking"] = True
        body["chat_template_kwargs"] = {"enable_thinking": True}
        if "guided_decoding_guide_type" in case.inputs:
            case.plain = False
    if _often(random, 0.06):
        case.inputs["exclude_input_in_output"] = False  # a chat is not echoed
        case.plain = False
    case.chat = body
    case.response = _as_response(random, body)


def _conversation(random: Random) -> tuple[list[Any], list[Any], bool]:
    if _often(random, 0.5):
        entry = random.choice(_asked())
        return entry["messages"], entry["tools"], entry["thinking"]
    messages: list[Any] = []
    if _often(random, 0.3):
        messages.append(
            {"role": random.choice(["system", "developer"]), "content": random.choice(TEXTS)}
        )
    messages.append({"role": "user", "content": random.choice(TEXTS)})
    for turn in range(random.randint(0, 2)):
        if _often(random, 0.4):
            name = f"c{turn}"
            function = {
                "name": "f",
                "arguments": random.choice(['{"a": 1}', "{}", "", '{"a', "null"]),
            }
            content = random.choice([None, "Let me see."])
            call = {"id": name, "type": "function", "function": function}
            messages.append({"role": "assistant", "content": content, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": name, "content": random.choice(TEXTS)})
        else:
            messages.append({"role": "assistant", "content": random.choice(TEXTS)})
        if messages[-1]["role"] != "tool" or _often(random, 0.5):
            messages.append({"role": "user", "content": random.choice(TEXTS)})
    if _often(random, 0.1):
        parts = [{"type": "text", "text": random.choice(TEXTS)} for _ in range(2)]
        messages[-1] = messages[-1] | {"content": parts}
    return messages, [], _often(random, 0.1)


def _spoilt(random: Random, messages: list[Any]) -> list[Any]:
    at = random.randrange(len(messages))
    changed: list[Any] = [
        messages[:at], [*messages, {"role": "assistant", "content": "x"}], [*messages, {"role": "root", "content": "x"}],
        [*messages[:at], messages[at] | {"content": random.choice([None, 5, [], [{"type": "image_url"}]])}, *messages[at + 1 :]],
        [*messages, {"role": "tool", "tool_call_id": "zz", "content": "x"}],
        [*messages[:at], messages[at] | {"mood": 1}, *messages[at + 1 :]], [*messages[:at], 5],
    ]  # fmt: skip
    return random.choice(changed)


def _tool(name: str, parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def _as_response(random: Random, body: dict[str, Any]) -> dict[str, Any]:
    """The same question to /v1/responses, where it is one text."""
    texts = [
        m["content"]
        for m in body["messages"]
        if isinstance(m, dict) and isinstance(m.get("content"), str)
    ]
    found: dict[str, Any] = {"input": texts[-1] if texts else random.choice(["", 5])}
    for name in ("temperature", "top_p", "top_k", "seed"):
        if name in body:
            found[name] = body[name]
    if "max_tokens" in body:
        found["max_output_tokens"] = body["max_tokens"]
    if "logprobs" in body:
        found["include"] = ["message.output_text.logprobs"]
    if "tools" in body:
        flat = [t.get("function") if isinstance(t, dict) else t for t in body["tools"]]
        found["tools"] = [{"type": "function", **f} if isinstance(f, dict) else f for f in flat]
    if "chat_template_kwargs" in body:
        found["reasoning"] = {"effort": "low"}
    return found
