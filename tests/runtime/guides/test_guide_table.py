"""Some hundred schemas, each enforced or refused by name; what comes out of those enforced is valid."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.guides import matchers, trial
from gemma4_runtime.guides.answer import GuideAnswer, json_problem
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.guides.matchers import matchers_of
from gemma4_runtime.guides.read import read_guide
from gemma4_runtime.guides.schema.formats import PATTERNS
from gemma4_runtime.guides.trial import GuideTrial
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import GuidedDecoding
from gemma4_runtime.output.vocab import TokenTable
from gemma4_testing.cases.guide_table import ROWS, STARTS
from gemma4_testing.cases.guide_walk import walk
from gemma4_testing.cases.honest_guides import HONEST
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

LIMITS = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
RUNTIMES = {"llama": "llama_cpp", "trt": "tensorrt_llm"}
WALKS = 3
REGEXES = (
    "[a-z]{2,5}", "yes|no|maybe", r"\d{3}", "😀|日本|U2028", "(ab)*c?", r"[^a-z]{1,3}", "a/b", r"\w+@\w+",
    "\u2028|é",
)  # fmt: skip
GRAMMARS = ('root ::= "😀" | "x"', 'root ::= [a-c]+ "-" [0-9]{1,3}', 'root ::= "(" root ")" | "z"')


def read(kind: str, text: str, runtime: str) -> GuidedDecoding | None:
    values = {"guided_decoding_guide_type": kind, "guided_decoding_guide": text}
    return read_guide(values, LIMITS, CAPABILITIES[RUNTIMES[runtime]], reach=63_488)


@pytest.fixture(scope="module")
def trials(checkpoint: Path) -> dict[str, GuideTrial]:
    return {
        short: GuideTrial(checkpoint / "tokenizer.json", enforcer=CAPABILITIES[name].enforcer)
        for short, name in RUNTIMES.items()
    }


@pytest.fixture(scope="module")
def matcher_of(checkpoint: Path) -> Callable[..., Any]:
    return matchers_of(checkpoint / "tokenizer.json", enforcer="wheel")


@pytest.fixture(scope="module")
def answers(checkpoint: Path) -> GuideAnswer:
    return GuideAnswer(checkpoint / "tokenizer.json", enforcer="wheel")


def test_the_table_is_long_enough() -> None:
    assert len(ROWS) >= 300
    families = Counter(family for family, _, _ in ROWS)
    assert len(families) >= 20
    refused = [row for row in ROWS if row[2]]
    assert 50 <= len(refused) <= len(ROWS) // 2


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("number", range(len(ROWS)))
def test_each_is_enforced_or_refused_by_name(
    number: int, runtime: str, trials: dict[str, GuideTrial]
) -> None:
    family, schema, refusals = ROWS[number]
    says = refusals.get("all") or refusals.get(runtime)
    try:
        trials[runtime].check(read("json_schema", json.dumps(schema), runtime))
    except RequestError as error:
        assert says is not None and says in error.message, (family, schema, error.message)
        assert error.status is Status.INVALID_ARGUMENT
        assert error.field == "guided_decoding_guide"
    else:
        assert says is None, (family, schema)


ENFORCED = [n for n, (_, _, refusals) in enumerate(ROWS) if not set(refusals) & {"all", "llama"}]


@pytest.mark.parametrize("number", ENFORCED)
def test_what_comes_out_is_valid(
    number: int, matcher_of: Callable[..., Any], table: TokenTable
) -> None:
    """No silent pass: random tokens, as many as the guide allows, are a valid answer."""
    family, schema, _ = ROWS[number]
    guided = read("json_schema", json.dumps(schema), "llama")
    ended, start = 0, STARTS.get(json.dumps(schema), b"")
    for seed in range(WALKS):
        answer = walk(matcher_of(guide_grammar(guided)), table, seed, start)
        if answer is not None:
            ended += 1
            assert not json_problem(guided, answer), (family, schema, answer)
    assert ended, (family, schema)


FORMATS = ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uri-reference",
           "iri", "iri-reference", "uuid", "json-pointer", "relative-json-pointer", "idn-email", "idn-hostname")  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_our_patterns_are_within_the_formats(
    name: str, matcher_of: Callable[..., Any], table: TokenTable
) -> None:
    """As another validator reads the standards."""
    validator = Draft202012Validator({"format": name}, validate_formats=True)
    guided = read("json_schema", json.dumps({"type": "string", "format": name}), "llama")
    for seed in range(12):
        answer = walk(matcher_of(guide_grammar(guided)), table, seed)
        if answer is not None:
            assert validator.is_valid(json.loads(answer)), answer


GOOD = {"date": "2024-02-29", "uri": "urn:isbn:0451450523", "ipv6": "1::8", "duration": "P1DT12H", "email": "o'brien@a-b.ie",
        "uri-reference": "../a?b#c", "time": "23:59:59.5+01:00", "json-pointer": "/a~1b/0", "byte": "QQ==", "hostname": "a.b"}  # fmt: skip
BAD = {"date": "2023-02-29", "uri": "//no.scheme", "ipv6": "1::2::3", "duration": "P", "email": "a@b",
       "uri-reference": "a b", "time": "24:00:00Z", "json-pointer": "a", "byte": "QQ", "hostname": "-a"}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_patterns_of_formats(name: str) -> None:
    assert re.search(PATTERNS[name], GOOD[name])
    assert not re.search(PATTERNS[name], BAD[name])


@pytest.mark.parametrize(("kind", "text"), [("regex", r) for r in REGEXES] + [("grammar", g) for g in GRAMMARS])  # fmt: skip
def test_other_guides_are_kept(
    kind: str,
    text: str,
    matcher_of: Callable[..., Any],
    answers: GuideAnswer,
    table: TokenTable,
    trials: dict[str, GuideTrial],
) -> None:
    guided = read(kind, text, "llama")
    trials["llama"].check(guided)
    for seed in range(WALKS):
        answer = walk(matcher_of(guide_grammar(guided)), table, seed)
        assert answer is not None
        if kind == "regex" and r"\w" not in text:  # Python's is of another Unicode version
            assert re.fullmatch(text, answer.decode()), answer
        assert not answers.problem(guided, answer, complete=True)
        for cut in range(0, len(answer), 3):
            assert not answers.problem(guided, answer[:cut], complete=False)
        assert answers.problem(guided, answer + b"\x00" * 300, complete=True)


PROSE = b"I am sorry, I cannot do that."


@pytest.mark.parametrize(("kind", "name", "text"), [h for h in HONEST if h[1] not in ("anything", "sentence", "unicode")])  # fmt: skip
def test_prose_is_no_answer(kind: str, name: str, text: str, answers: GuideAnswer) -> None:
    guided = read(kind, text, "llama")
    assert answers.problem(guided, PROSE, complete=True)
    assert answers.problem(guided, PROSE, complete=False)
    assert answers.problem(guided, b"", complete=True)
    assert not answers.problem(guided, b"", complete=False)


WRONG = [
    ('{"type": "integer", "minimum": 3}', b"2", "minimum"),
    ('{"type": "array", "items": {"type": "string"}}', b"[1]", "[0]"),
    ('{"type": "string", "format": "uri"}', b'"no uri"', "match"),
    ('{"type": "object"}', b'{"a": NaN}', "NaN"),
    ('{"type": "object"}', b'{"a": 1', "JSON"),
    ('{"type": "string"}', b'"\xff"', "JSON"),
    ('{"const": "x"}', b'"x"{"a": 1}', "JSON"),
]


@pytest.mark.parametrize(("schema", "answer", "says"), WRONG)
def test_what_is_said_of_a_wrong_answer(
    schema: str, answer: bytes, says: str, answers: GuideAnswer
) -> None:
    assert says in answers.problem(read("json_schema", schema, "llama"), answer, complete=True)


def test_numbers_beyond_a_double_are_numbers(answers: GuideAnswer) -> None:
    guided = read("json_schema", '{"type": "array", "items": {"type": "number"}}', "llama")
    numbers = b"[1e999, -1e999, " + b"9" * 6000 + b", 1e-999]"
    assert not answers.problem(guided, numbers, complete=True)


def test_another_runtimes_white_space_is_no_fault(checkpoint: Path) -> None:
    answers = GuideAnswer(checkpoint / "tokenizer.json", enforcer="package")
    guided = GuidedDecoding("json_schema", '{"type": "object"}')
    assert not answers.problem(guided, b'{\n  "a" :1}', complete=True)
    assert not answers.problem(guided, b'{\n  "a"', complete=False)
    assert answers.problem(guided, PROSE, complete=True)


@pytest.mark.parametrize(
    ("kind", "text", "refused"),
    [
        ("json_schema", '{"enum": ["😀", "a"]}', "U+1F600"),
        ("json_schema", '{"type": "object", "properties": {"鱻": {"type": "string"}}}', "U+9C7B"),
        ("json_schema", '{"type": "string", "pattern": "^\\\\u2028$"}', "U+2028"),
        ("regex", "a|\u2028", "U+2028"),
        ("regex", r"a|\x{1F600}", "regular expression"),
        ("grammar", 'root ::= "😀"', "U+1F600"),
        ("json_schema", '{"const": "plain", "description": "😀"}', ""),
        ("regex", "[a-z]+", ""),
    ],
)  # fmt: skip
def test_without_byte_tokens_characters_are_refused_by_name(
    kind: str, text: str, refused: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemma4_runtime.guides.wheel_tokens.can_replace", lambda: False)
    tried = trial.GuideTrial(checkpoint / "tokenizer.json", enforcer="wheel")
    if not refused:
        tried.check(read(kind, text, "llama"))
        return
    with pytest.raises(RequestError) as caught:
        tried.check(read(kind, text, "llama"))
    assert refused in caught.value.message


def test_without_byte_tokens_none_is_allowed(
    checkpoint: Path, table: TokenTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemma4_runtime.guides.wheel_tokens.can_replace", lambda: False)
    made = matchers.matchers_of(checkpoint / "tokenizer.json", enforcer="wheel")
    guided = read("json_schema", '{"type": "string"}', "llama")
    for seed in range(5):
        matcher = made(guide_grammar(guided))
        mask = matcher.mask()
        for _ in range(30):
            tokens = [token for token in range(len(table.pieces)) if mask >> token & 1]
            assert not set(tokens) & table.byte_ids
            matcher.consume([tokens[seed * 7 % len(tokens)]])
            mask = matcher.mask()
            if matcher.is_stopped():
                break


@given(st.text(max_size=12), st.sampled_from(["const", "enum", "key"]))
def test_any_text_can_be_asked_for(text: str, how: str) -> None:
    """Constants of any characters come out as they are."""
    schema = {"const": text} if how == "const" else {"enum": [text]}
    if how == "key":
        schema = {"type": "object", "properties": {text: {"const": 1}}, "required": [text], "additionalProperties": False}  # fmt: skip
    if any("\ud800" <= char <= "\udfff" for char in text):
        return
    guided = read("json_schema", json.dumps(schema), "llama")
    wanted = {text: 1} if how == "key" else text
    answer = walk(_shared()(guide_grammar(guided)), _TABLE[0], 0)
    assert answer is not None and json.loads(answer) == wanted


_TABLE: list[Any] = []
_MADE: list[Any] = []


@pytest.fixture(autouse=True, scope="module")
def _remember(table: TokenTable, matcher_of: Callable[..., Any]) -> Iterator[None]:
    _TABLE.append(table)
    _MADE.append(matcher_of)
    yield
    _TABLE.clear()
    _MADE.clear()


def _shared() -> Callable[..., Any]:
    return _MADE[0]
