"""A tokenizer that lists hundreds of ordinary strings as added tokens: they are text."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from gemma4_runtime.added_tokens import TURN_MARKERS
from gemma4_runtime.input.text import PromptTokenizer
from gemma4_runtime.output.vocab import TokenTable, load_token_table
from gemma4_testing.cases.answers_of_tokens import deltas_of, shown
from gemma4_testing.cases.stream_pieces import joined, make_request, run
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

FIRST = 4096
TAGS = ["table", "tr", "td", "h1", "p", "code", "sub", "li", "br", "img"]
PREFIXES = ["<|", "<|tu", "turn|", "|>", "<turn", '<|"', "channel", "<|channel", "thought\n"]
UNSPECIAL = ("<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|tool_call>", '<|"|>', "<|image|>")


def strings() -> list[str]:
    """600 of them: tags, runs, prefixes of markers and of one another, words of other scripts."""
    found = [f"<{slash}{tag}>" for tag in TAGS for slash in ("", "/")] + PREFIXES
    found += ["\r\n" * n for n in range(1, 9)] + ["\t" * n for n in range(1, 9)]
    found += ["Paris is", "Paris", "the capital", " the capital of", "é", "日本語", "👋🏽", "a b c"]
    found += [f"[ENTITY_{n}]" for n in range(200)] + [f"@user{n}" for n in range(100)]
    random = Random(7)
    while len(set(found)) < 600:
        found.append("".join(random.choices("ab<|> \n_é日", k=random.randint(2, 9))))
    return list(dict.fromkeys(found))[:600]


STRINGS = strings()


@pytest.fixture(scope="module")
def file(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = json.loads((checkpoint / "tokenizer.json").read_text())
    vocab = data["model"]["vocab"]
    for entry in data["added_tokens"]:
        entry["special"] = entry["content"] not in UNSPECIAL
    known = [vocab[text] for text in STRINGS if text in vocab]
    at = FIRST
    for number, text in enumerate(STRINGS):
        if text not in vocab:
            token_id, at = at, at + 1
        else:
            token_id = vocab[text]
        data["added_tokens"].append(
            {
                "id": token_id,
                "content": text,
                "single_word": number % 7 == 0,
                "lstrip": number % 11 == 0,
                "rstrip": number % 13 == 0,
                "normalized": number % 3 == 0,
                "special": False,
            }
        )
    assert known  # some are words of the vocabulary too
    data["added_tokens"].sort(key=lambda entry: entry["id"])
    path = tmp_path_factory.mktemp("added") / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def ours(file: Path) -> PromptTokenizer:
    return PromptTokenizer(file)


@pytest.fixture(scope="module")
def theirs(file: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_file=str(file))


@pytest.fixture(scope="module")
def reference(file: Path) -> Tokenizer:
    return Tokenizer.from_file(str(file))


@pytest.fixture(scope="module")
def added_table(file: Path) -> TokenTable:
    return load_token_table(file)


PIECES = st.one_of(
    st.sampled_from(STRINGS),
    st.sampled_from(sorted(TURN_MARKERS)),
    st.sampled_from([" ", "\n", "a", "Hello", "What is the capital of France?", ".", "\u2581"]),
    st.text(max_size=5).filter(lambda text: "\ufdd0" not in text),
)


@settings(max_examples=500)
@given(parts=st.lists(PIECES, max_size=12))
def test_a_rendered_prompt_is_encoded_as_transformers_does(
    ours: PromptTokenizer, theirs: PreTrainedTokenizerFast, parts: list[str]
) -> None:
    text = "".join(parts)
    assert ours.encode_rendered(text) == theirs.encode(text, add_special_tokens=False)


def test_each_string_alone_is_its_id(ours: PromptTokenizer, reference: Tokenizer) -> None:
    for text in STRINGS:
        assert ours.encode_plain(text) == reference.encode(text, add_special_tokens=False).ids
    assert ours.encode_plain("[ENTITY_7]") == [reference.token_to_id("[ENTITY_7]")]


@settings(max_examples=300)
@given(parts=st.lists(PIECES, max_size=12))
def test_no_control_token_comes_from_what_a_user_types(
    ours: PromptTokenizer, parts: list[str]
) -> None:
    text = "".join(parts)
    ids = ours.encode_rendered(ours.guard(text, "messages"))
    assert not set(ids) & set(ours.control.values())
    assert ours.encode_rendered("<|turn>" + ours.guard(text, "messages"))[0] == 105


def test_markers_are_control_tokens_whatever_the_flag_says(
    ours: PromptTokenizer, added_table: TokenTable
) -> None:
    for marker in UNSPECIAL:
        assert marker in ours.control
        assert ours.control[marker] in added_table.special
    assert len(ours.control) == 24  # the demo's, and none of the strings


@settings(max_examples=300)
@given(data=st.data())
def test_they_are_shown_and_streamed_as_text(
    added_table: TokenTable, reference: Tokenizer, data: Any
) -> None:
    size = len(added_table.pieces)
    plain = st.integers(0, size - 1).filter(
        lambda i: i not in added_table.special and i not in added_table.byte_ids
    )
    ids = data.draw(st.lists(st.one_of(plain, st.integers(FIRST, size - 1)), max_size=30))
    cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=8))
    text, *_ = joined(run(make_request(), added_table, ids, cuts))
    assert text == reference.decode(ids, skip_special_tokens=False)
    whole = run(make_request(stream=False), added_table, ids, [])
    assert joined(whole)[0] == text


def test_they_belong_to_channels_and_calls(added_table: TokenTable, reference: Tokenizer) -> None:
    table = added_table
    control, name = table.control, reference.token_to_id("[ENTITY_7]")
    thought = [control.think_open, *reference.encode("thought\n").ids, name, control.think_close]
    call = [
        control.call_open, *reference.encode("call:f{a:").ids, control.quote, name, control.quote,
        *reference.encode("}").ids, control.call_close,
    ]  # fmt: skip
    content, reasoning, calls, _ = joined(
        run(make_request(parse_tools=True), table, [*thought, name, *call, 106], [], "stop")
    )
    assert (content, reasoning) == ("[ENTITY_7]", "[ENTITY_7]")
    assert json.loads(json.loads(calls)[0]["function"]["arguments"]) == {"a": "[ENTITY_7]"}


def test_their_log_probs_are_those_of_text(added_table: TokenTable, reference: Tokenizer) -> None:
    ids = [reference.token_to_id(text) for text in ("[ENTITY_7]", "<table>", "👋🏽", "@user3")]
    tokens = shown(added_table, deltas_of(added_table, [*ids, 106], cuts=[1, 2], reason="stop"))
    assert [token.data.decode() for token in tokens] == ["[ENTITY_7]", "<table>", "👋🏽", "@user3"]
    assert [token.offset for token in tokens] == [0, 10, 17, 19]


def test_text_that_contains_a_control_token_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    data = json.loads((checkpoint / "tokenizer.json").read_text())
    entry = data["added_tokens"][0] | {"id": FIRST, "content": "<|turn>user", "special": False}
    data["added_tokens"].append(entry)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data))
    for read in (PromptTokenizer, load_token_table):
        with pytest.raises(ValueError, match=r"'<\|turn>user' .* control token <\|turn>"):
            read(path)
