"""What a guide may cost is bounded before the engine sees it; honest ones pass."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import RequestError
from gemma4_runtime.guides.read import read_guide
from gemma4_runtime.guides.repeats import expanded_size
from gemma4_runtime.guides.schema.check import check_schema
from gemma4_runtime.guides.trial import CPU_S, GuideTrial
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import GuidedDecoding
from gemma4_testing.cases.guide_bombs import BOMBS, Bomb
from gemma4_testing.cases.honest_guides import HONEST, NOT_BY_XGRAMMAR, SCHEMAS
from hypothesis import given
from hypothesis import strategies as st

LIMITS = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
REACH = 63_488
"""Of the demo engine: 2,048 tokens of at most 31 bytes."""
TRY = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from gemma4_runtime.preparation.child import CPU_S
resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
from pathlib import Path
from gemma4_runtime.guides.trial import GuideTrial
from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import GuidedDecoding
trial = GuideTrial(Path(sys.argv[1]), enforcer="wheel")
try:
    trial.check(GuidedDecoding(sys.argv[2], sys.stdin.read()))
except RequestError as error:
    print(error.message)
"""


def read(kind: str, text: str, runtime: str = "llama_cpp") -> GuidedDecoding:
    values = {"guided_decoding_guide_type": kind, "guided_decoding_guide": text}
    guide = read_guide(values, LIMITS, CAPABILITIES[runtime], reach=REACH)
    assert guide is not None
    return guide


@pytest.fixture(scope="module")
def trial(checkpoint: Path) -> GuideTrial:
    return GuideTrial(checkpoint / "tokenizer.json", enforcer="wheel")


def test_the_tables_are_long_enough() -> None:
    assert len(BOMBS) >= 60
    assert len(HONEST) >= 60
    assert len({bomb.name for bomb in BOMBS}) == len(BOMBS)


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_a_bomb_is_refused_by_name(bomb: Bomb, checkpoint: Path) -> None:
    began = time.thread_time()
    try:
        guided = read(bomb.kind, bomb.text)
    except RequestError as error:
        message = error.message
        assert time.thread_time() - began < 2  # the static look itself is cheap
    else:  # what only compiling shows: in a process that may be killed, as in the server
        done = subprocess.run(
            [sys.executable, "-c", TRY, str(checkpoint / "tokenizer.json"), bomb.kind],
            input=guided.guide, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        message = done.stdout
        if done.returncode < 0:
            message = "guided_decoding_guide: killed"
    assert message.startswith("guided_decoding_guide")
    assert bomb.says in message


@pytest.mark.parametrize("runtime", ["llama_cpp", "tensorrt_llm"])
@pytest.mark.parametrize(("kind", "name", "text"), HONEST, ids=lambda value: str(value)[:30])
def test_an_honest_guide_passes(kind: str, name: str, text: str, runtime: str) -> None:
    """But for what TensorRT-LLM's compiler would drop."""
    dropped = NOT_BY_XGRAMMAR.get(name) if runtime == "tensorrt_llm" else None
    if dropped is None:
        assert read(kind, text, runtime).kind == kind
        return
    with pytest.raises(RequestError, match=dropped):
        read(kind, text, runtime)


@pytest.mark.parametrize(("kind", "name", "text"), HONEST, ids=lambda value: str(value)[:30])
def test_an_honest_guide_compiles(kind: str, name: str, text: str, trial: GuideTrial) -> None:
    """Twice, since the first of all pays for warm caches; a third of the limit is plenty."""
    guided = read(kind, text)
    trial.check(guided)
    began = time.thread_time()
    trial.check(guided)
    assert time.thread_time() - began < CPU_S


def test_limits_that_cannot_matter_are_taken_out() -> None:
    text = json.dumps({"type": "string", "minLength": 2, "maxLength": 2147483647})
    assert json.loads(read("json_schema", text).guide) == {"type": "string", "minLength": 2}
    text = json.dumps({"type": "string", "maxLength": REACH})
    assert read("json_schema", text).guide == text


def parts(depth: int) -> Any:
    """(regex, its true size) by construction."""
    leaf = st.sampled_from(
        [("a", 1), ("[a-z]", 1), (r"\d", 1), ("[^]x]", 1), (r"\{", 1), (r"[\]{9}]", 1)]
    )
    if not depth:
        return leaf
    inner = parts(depth - 1)
    repeated = st.tuples(
        inner, st.integers(1, 40), st.sampled_from(["{%d}", "{0,%d}", "{%d,}"])
    ).map(lambda p: (f"(?:{p[0][0]})" + p[2] % p[1], p[0][1] * p[1]))
    joined = st.lists(inner, min_size=1, max_size=4).map(
        lambda p: ("".join(x for x, _ in p), sum(n for _, n in p))
    )
    either = st.lists(inner, min_size=1, max_size=3).map(
        lambda p: ("(" + "|".join(x for x, _ in p) + ")*", sum(n for _, n in p))
    )
    return st.one_of(leaf, repeated, joined, either)


@given(parts(4))
def test_the_size_of_a_regex_is_never_underestimated(made: tuple[str, int]) -> None:
    pattern, size = made
    re.compile(pattern)
    found = expanded_size(pattern)
    assert size <= found <= 8 * size + 3 * len(pattern)  # "?:" and the like count as parts


@given(st.text(alphabet='ab(){}[],0123456789\\|*+?^-"#\n:=', max_size=200), st.booleans())
def test_any_text_has_a_size(text: str, grammar: bool) -> None:
    assert 0 <= expanded_size(text, grammar=grammar) < 10**30


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.floats(allow_nan=False, allow_infinity=False),
              st.sampled_from(["string", "object", "a", "^a$", "(", "#/$defs/a", "", "date"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "properties", "items", "required", "enum", "anyOf", "allOf", "pattern",
                             "patternProperties", "minItems", "maxLength", "multipleOf", "$ref", "$defs", "not",
                             "const", "additionalProperties", "dependentRequired", "$id", "format", "prefixItems",
                             "dependencies", "if", "uniqueItems", "minimum", "title", "x"]),
            inner, max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


def agrees(schema: dict[str, Any]) -> None:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        expected = True
    except jsonschema.SchemaError:
        expected = False
    try:
        check_schema("f", schema, most_regex_size=10_000)
        found = True
    except RequestError:
        found = False
    assert found == expected, schema


@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "$defs", "pattern", "enum",
                                        "required", "patternProperties", "dependencies"]), VALUES, max_size=4))  # fmt: skip
def test_the_fast_validator_agrees_with_the_slow_one(schema: dict[str, Any]) -> None:
    agrees(schema)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_fast_validator_agrees_on_honest_schemas(name: str) -> None:
    agrees(SCHEMAS[name])


@pytest.mark.parametrize(
    "schema",
    [{"type": "objekt"}, {"minimum": "x"}, {"properties": {"a": {"pattern": "("}}}, {"$ref": 5},
     {"required": ["a", "a"]}, {"exclusiveMinimum": True}, {"pattern": "(?P<x>"}, {"minLength": 1.0},
     {"multipleOf": 0}, {"type": ["string", "string"]}, {"enum": "x"}, {"properties": {"a": 1}},
     {"$id": "#x"}, {"$anchor": "1"}, {"pattern": r"\d(?!x)"}, {"patternProperties": {"[": {}}},
     {"minLength": -1}, {"items": [{}]}, {"dependencies": {"a": ["b"]}}, {"dependencies": {"a": {"pattern": "["}}},
     {"propertyNames": {"pattern": "*"}}, {"format": 5}, {"contains": {"type": 1}}, {"if": 3}, {"allOf": []}],
    ids=str,
)  # fmt: skip
def test_the_fast_validator_agrees_on_bad_ones(schema: dict[str, Any]) -> None:
    agrees(schema)
