"""Guides in the real llama.cpp: every character can be written, and nothing runs free."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.engines.llama_cpp import guides as llama_guides
from gemma4_runtime.guides.wheel_tokens import Static, can_replace
from gemma4_runtime.input.text import PromptTokenizer
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GuidedDecoding, Prelude
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import EOS, run


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("guides") / "engine"
    build_engine(
        BuildRequest(
            checkpoint=checkpoint, out=out, precision="f32", slots=2, max_total_tokens=600,
            skip_verify=True,
        ),
        SilentReporter(),
    )  # fmt: skip
    return out


@pytest.fixture
def load(folder: Path, table: TokenTable) -> Iterator[Callable[[], Engine]]:
    made = []

    def one() -> Engine:
        settings = Settings(folder, folder, threads=1)
        made.append(create_engine(folder, read_manifest(folder), table, settings))
        return made[-1]

    yield one
    for engine in made:
        engine.close()


def text(
    engine: Engine,
    table: TokenTable,
    encode: Callable[[str], list[int]],
    kind: Any,
    guide: Any,
    **options: Any,
) -> str:
    guide = guide if isinstance(guide, str) else json.dumps(guide)
    sink = run(engine, encode("Hi"), guided=GuidedDecoding(kind, guide), max_tokens=60, **options)
    assert sink.ends[0].reason == "stop"
    assert not set(sink.ids[:-1]) & table.special
    return b"".join(table.pieces[token] for token in sink.ids if token not in EOS).decode()


CHARACTERS = ["😀", "\u2028", "鱻𠮷", "🏳️‍🌈", "é", "\U0010fffd", "a😀b"]


def test_the_pinned_wheel_can() -> None:
    assert can_replace()


def test_characters_that_are_no_tokens(
    load: Callable[[], Engine], table: TokenTable, encode: Callable[[str], list[int]]
) -> None:
    engine = load()
    for wanted in CHARACTERS:
        assert text(engine, table, encode, "regex", wanted) == wanted
        assert text(engine, table, encode, "grammar", f'root ::= "{wanted}"') == wanted
        assert json.loads(text(engine, table, encode, "json_schema", {"enum": [wanted]})) == wanted
        hot = {"temperature": 5.0, "top_k": 0, "top_p": 1.0, "seed": 5}
        assert text(engine, table, encode, "regex", f"[{wanted[0]}]{{3}}", **hot) == wanted[0] * 3


FORCED = [
    "kind of thing",
    "understanding",
    "the answer is 42",
    " two  spaces",
    "日本",
    "a\nb",
    "Ünder",
]


def test_forced_text_is_written_in_the_tokens_of_the_model(
    load: Callable[[], Engine],
    table: TokenTable,
    encode: Callable[[str], list[int]],
    checkpoint: Path,
) -> None:
    """As its tokenizer writes it, not letter by letter: also where a letter is rated higher."""
    engine = load()
    plain = PromptTokenizer(checkpoint / "tokenizer.json")
    for wanted in FORCED:
        quoted = json.dumps(wanted, ensure_ascii=False)
        guided = GuidedDecoding("grammar", f"root ::= {quoted}")
        for hot in ({}, {"temperature": 5.0, "top_k": 0, "top_p": 1.0, "seed": 5}):
            sink = run(engine, encode("Hi"), guided=guided, max_tokens=60, **hot)
            assert [i for i in sink.ids if i not in EOS] == plain.encode_plain(wanted)


@pytest.mark.parametrize("literal", ["<turn|>", "<|tool_call>", "<bos>", '<|"|>'])
def test_forced_markers_stay_text(
    load: Callable[[], Engine], table: TokenTable, encode: Callable[[str], list[int]], literal: str
) -> None:
    assert text(load(), table, encode, "grammar", f"root ::= {json.dumps(literal)}") == literal


def test_a_guide_beside_tools_is_kept_from_the_first_token(
    load: Callable[[], Engine], table: TokenTable, encode: Callable[[str], list[int]]
) -> None:
    engine = load()
    options: dict[str, Any] = {
        "guided": GuidedDecoding("json", ""), "prelude": Prelude("none", ("f",)), "max_tokens": 3,
        "temperature": 5.0, "top_k": 0, "top_p": 1.0,
    }  # fmt: skip
    found = {run(engine, encode("Hi"), seed=seed, **options).ids[0] for seed in range(60)}
    assert {table.pieces[token] for token in found} == {b"{", b"<|tool_call>"}
    assert not found & table.byte_ids


def test_each_engine_of_a_process_has_its_own(
    load: Callable[[], Engine], table: TokenTable, encode: Callable[[str], list[int]]
) -> None:
    first = load()
    second = load()
    for engine in (first, second, first, second):
        assert text(engine, table, encode, "regex", "😀{2}") == "😀😀"


def test_a_wheel_without_the_variable(
    load: Callable[[], Engine],
    table: TokenTable,
    encode: Callable[[str], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama_guides, "can_replace", lambda: False)
    engine = load()
    assert set(engine._guides.banned) >= table.byte_ids  # type: ignore[attr-defined]
    hot = {"temperature": 5.0, "top_k": 0, "top_p": 1.0}
    for seed in range(5):
        assert text(engine, table, encode, "regex", "[a-z<>|]{3}", seed=seed, **hot)
    assert json.loads(text(engine, table, encode, "json_schema", {"enum": ["a", "b"]})) in (
        "a",
        "b",
    )


def test_an_engine_that_does_not_keep_to_guides_does_not_start(
    load: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Static, "replace", lambda self, tokenizer: None)
    with pytest.raises(RuntimeError, match="does not keep to a guide"):
        load()
