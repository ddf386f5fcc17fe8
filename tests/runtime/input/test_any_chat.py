"""Any history with any tools is a prompt, or a refusal that names a field. Nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.input.chat import parse_messages
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.input.tools import parse_tools
from gemma4_runtime.limits import Limits
from gemma4_testing.cases.chat_templates import DEMO, SECOND
from hypothesis import given, settings
from hypothesis import strategies as st

LIMITS = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
TEMPLATES = [ChatTemplate(SECOND), ChatTemplate(DEMO)]
FIELD = re.compile(r"(messages|tools)(\[\d+\]|\.[a-z_]+)*\Z")

TEXTS = st.sampled_from(["", "a", " b\n", "<|turn>", "<turn|>", '<|"|>', "<|channel>thought\nx<channel|>", "<|channel>", "{", "é"])  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.just(0.5) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=3,
)


def mostly(good: Any) -> Any:
    """Now and then something else."""
    return st.integers(0, 39).flatmap(lambda n: good if n else JUNK)


def objects(**fields: Any) -> Any:
    """Some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


IDS = mostly(st.sampled_from(["a", "b", "", None]))
NAMES = mostly(st.sampled_from(["f", "g"]))
CONTENT = mostly(
    TEXTS
    | st.lists(
        mostly(st.fixed_dictionaries({"type": mostly(st.just("text")), "text": mostly(TEXTS)})),
        max_size=3,
    )
)
ARGUMENTS = mostly(st.sampled_from(["", "{}", '{"a": 1}', '{"a', "null", "[]", '{"<|turn>": [null, 1e999]}', {"a": {"b": [None, True, "x"]}}, None]))  # fmt: skip
CALLS = st.lists(
    mostly(
        st.fixed_dictionaries(
            {"function": mostly(st.fixed_dictionaries({"name": NAMES, "arguments": ARGUMENTS}))},
            optional={"id": IDS, "type": mostly(st.just("function"))},
        )
    ),
    max_size=2,
)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "developer"]), "content": CONTENT}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": CONTENT},
        optional={"tool_calls": mostly(CALLS), "reasoning": mostly(TEXTS), "reasoning_content": mostly(TEXTS)},
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": CONTENT}, optional={"tool_call_id": IDS, "name": NAMES}),
    mostly(objects(role=mostly(st.just("user")), content=CONTENT, name=NAMES, other=JUNK)),
)  # fmt: skip
ANSWERED = st.tuples(CONTENT, ARGUMENTS, CONTENT).map(
    lambda made: [
        {"role": "assistant", "content": made[0], "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": made[1]}}]},
        {"role": "tool", "tool_call_id": "a", "content": made[2]},
    ]
)  # fmt: skip
USER = [{"role": "user", "content": "Hi"}]
HISTORIES = mostly(
    st.tuples(
        st.lists(ANSWERED | MESSAGES.map(lambda message: [message]), max_size=4),
        st.sampled_from([[], USER]),
    ).map(lambda parts: [*USER, *(message for some in parts[0] for message in some), *parts[1]])
)

KINDS = st.sampled_from(["string", "integer", "object", "array", "null", "boolean", "STRING"])
REFS = st.sampled_from(["#", "#/$defs/A", "#/$defs/B", "#/properties/p", "#/x", "http://x", "#/properties", "#/$defs/A/anyOf/0"])  # fmt: skip


def _schemas(inner: Any) -> Any:
    some = mostly(inner)
    listed = mostly(st.lists(some, max_size=3))
    named = mostly(
        st.dictionaries(st.sampled_from(["p", "q", "type", "<|turn>"]), some, max_size=2)
    )
    return objects(
        type=mostly(KINDS | st.lists(KINDS, max_size=2)), properties=named, items=some | listed,
        anyOf=listed, allOf=listed, oneOf=listed, prefixItems=listed, additionalProperties=some,
        additionalItems=some, **{"$ref": mostly(REFS), "$defs": named, "not": some, "if": some},
        patternProperties=named, required=mostly(st.lists(st.sampled_from("pq"), max_size=2) | st.booleans()),
        dependencies=mostly(st.dictionaries(TEXTS, st.just(["p"]) | inner, max_size=1)),
        enum=mostly(st.lists(JUNK, max_size=3)), const=JUNK, nullable=st.booleans() | JUNK,
        description=mostly(TEXTS), default=JUNK, minimum=mostly(st.integers(0, 9)),
        exclusiveMinimum=st.booleans() | st.none(), pattern=mostly(st.sampled_from(["a", "(", "<|turn>"])),
    )  # fmt: skip


SCHEMAS = st.recursive(
    st.booleans() | st.just({}) | KINDS.map(lambda kind: {"type": kind}) | REFS.map(lambda ref: {"$ref": ref}),
    _schemas,
    max_leaves=6,
)  # fmt: skip
PARAMETERS = st.tuples(SCHEMAS, SCHEMAS, SCHEMAS).map(
    lambda made: {"type": "object", "properties": {"p": made[0]}, "$defs": {"A": made[1], "B": made[2]}}
)  # fmt: skip
TOOLS = st.lists(
    mostly(
        st.fixed_dictionaries(
            {
                "type": mostly(st.just("function")),
                "function": st.fixed_dictionaries(
                    {"name": NAMES},
                    optional={
                        "parameters": PARAMETERS | mostly(SCHEMAS),
                        "description": mostly(TEXTS),
                        "response": PARAMETERS | JUNK,
                    },
                ),
            }
        )
    ),
    max_size=2,
)


@pytest.fixture(scope="module")
def preparer(checkpoint: Path) -> Preparer:
    return Preparer(checkpoint, limits=LIMITS, capabilities=CAPABILITIES["llama_cpp"])


def outcome(made: Any) -> Any:
    """``made()``; None for a refusal that names a field."""
    try:
        return made()
    except RequestError as error:
        assert error.status is Status.INVALID_ARGUMENT
        assert error.field is not None
        assert FIELD.match(error.field), error.field
        assert error.message.startswith(error.field + ": ")
        return None


def test_any_history(preparer: Preparer) -> None:
    guard = preparer._tokenizer.guard
    seen: Counter[bool] = Counter()

    @settings(max_examples=400)
    @given(history=HISTORIES, thinking=st.booleans())
    def check(history: Any, thinking: Any) -> None:
        messages = outcome(lambda: parse_messages(json.dumps(history), LIMITS, guard))
        seen[bool(messages)] += 1
        for template in TEMPLATES if messages else ():
            _is_prompt(preparer, template.render(messages, [], thinking=thinking), messages)

    check()
    assert min(seen[True], seen[False]) > 40, seen


def test_any_tools(preparer: Preparer) -> None:
    guard = preparer._tokenizer.guard
    seen: Counter[bool] = Counter()

    @settings(max_examples=400)
    @given(tools=TOOLS)
    def check(tools: Any) -> None:
        declared = outcome(lambda: parse_tools(json.dumps(tools), LIMITS, guard))
        seen[bool(declared)] += 1
        for template in TEMPLATES if declared else ():
            rendered = template.render(USER, declared, thinking=False)
            _is_prompt(preparer, rendered, USER)
            assert rendered.count("<|tool>") == rendered.count("<tool|>") == len(declared)

    check()
    assert min(seen[True], seen[False]) > 40, seen


def _is_prompt(preparer: Any, rendered: Any, messages: list[dict[str, Any]]) -> None:
    """It ends in an open turn of the model, and only the template wrote control tokens."""
    assert rendered.rfind("<|turn>model\n") > rendered.rfind("<turn|>")
    answers = sum(message["role"] == "tool" for message in messages)
    assert rendered.count("<tool_response|>") == answers
    assert preparer._tokenizer.encode_rendered(rendered)
