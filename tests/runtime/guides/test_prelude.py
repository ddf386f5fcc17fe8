"""What a guide leaves free, read from the inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import Prelude
from gemma4_testing.cases.prepared_requests import messages, prepare, user

TOOLS = json.dumps([{"type": "function", "function": {"name": n}} for n in ("f", "g.h")])
CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
LOOP = (
    user("a"),
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "1", "content": "{}"},
)
BOTH = ("f", "g.h")


@pytest.fixture(scope="module")
def preparer(checkpoint: Path) -> Preparer:
    limits = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
    return Preparer(checkpoint, limits=limits, capabilities=CAPABILITIES["llama_cpp"])


def inputs(*chat: dict[str, Any], guide: str | None = "json", **given: Any) -> dict[str, Any]:
    found = messages(*(chat or [user("a")]))
    if guide:
        found["guided_decoding_guide_type"] = ("BYTES", [guide])
    for name, value in given.items():
        found[name] = ("BOOL" if isinstance(value, bool) else "BYTES", [value])
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"enable_thinking": False}, None),
        ({"enable_thinking": True}, Prelude("may")),
        ({"tools": TOOLS}, Prelude("none", BOTH)),
        ({"tools": TOOLS, "tool_choice": "auto"}, Prelude("none", BOTH)),
        ({"tools": TOOLS, "tool_choice": "none"}, None),
        ({"tools": "[]"}, None),
        ({"tools": TOOLS, "enable_thinking": True}, Prelude("may", BOTH)),
        ({"tools": TOOLS, "enable_thinking": True, "tool_choice": "none"}, Prelude("may")),
    ],
)
@pytest.mark.parametrize("chat", [(), LOOP], ids=["question", "tool result"])
def test_chats(
    preparer: Preparer, chat: tuple[Any, ...], given: dict[str, Any], expected: Prelude | None
) -> None:
    request = prepare(preparer, inputs(*chat, **given))
    assert request.sampling.prelude == expected
    assert request.sampling.guided is not None and request.parse_tools
    unguided = {name: value for name, value in given.items() if name != "tool_choice"}
    assert prepare(preparer, inputs(*chat, guide=None, **unguided)).sampling.prelude is None


@pytest.mark.parametrize(
    ("prompt", "thought"),
    [
        ("Hello", None),
        ("<|turn>user\na<turn|>\n<|turn>model\n", None),
        ("<|turn>user\na<turn|>\n<|turn>model\n<|channel>thought\nThe user", Prelude("open")),
        ("<|turn>system\n<|think|>\n<turn|>\n<|turn>user\na<turn|>\n<|turn>model\n", Prelude("may")),
        (
            "<|turn>system\n<|think|>\n<turn|>\n<|turn>user\na<turn|>\n<|turn>model\n"
            "<|channel>thought\n<channel|>",
            None,
        ),
    ],
)  # fmt: skip
def test_prompts_that_the_caller_rendered(
    preparer: Preparer, prompt: str, thought: Prelude | None
) -> None:
    given = {"text_input": ("BYTES", [prompt]), "guided_decoding_guide_type": ("BYTES", ["json"])}
    assert prepare(preparer, given).sampling.prelude == thought


@pytest.mark.parametrize(("given", "one"), [({}, False), ({"parallel_tool_calls": True}, False),
                                            ({"parallel_tool_calls": False}, True)])  # fmt: skip
def test_one_call(preparer: Preparer, given: dict[str, bool], one: bool) -> None:
    assert prepare(preparer, inputs(tools=TOOLS, guide=None, **given)).one_call == one
