"""The demo tokenizer keeps Gemma 4's low-id layout and decodes what it encodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from data import tokenizer_texts
from tokenizer import CONTROL, MULTIMODAL, VOCAB_SIZE, build_tokenizer
from tokenizers import Tokenizer

CHECKPOINT = Path(__file__).parents[2] / "demo" / "checkpoint"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))


def test_layout(tokenizer: Tokenizer) -> None:
    assert tokenizer.get_vocab_size() == VOCAB_SIZE
    for name, number in (CONTROL | MULTIMODAL).items():
        assert tokenizer.token_to_id(name) == number
        assert tokenizer.encode(name).ids == [number]
    assert tokenizer.token_to_id("<0x00>") == 238
    assert tokenizer.token_to_id("<0xFF>") == 493
    assert min(MULTIMODAL.values()) == VOCAB_SIZE - len(MULTIMODAL)


@pytest.mark.parametrize("length", range(1, 32))
def test_runs_are_one_token(tokenizer: Tokenizer, length: int) -> None:
    assert tokenizer.encode("\n" * length).ids == [106 + length]
    if length > 1:
        assert tokenizer.encode("a" + " " * length + "?").ids[1:-1] == [136 + length]


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        " leading, trailing  and   runs ",
        "안녕하세요 नमस्ते مرحبا สวัสดี",
        "🐱🤖👨‍👩‍👧 👍🏽 🇯🇵",
        "cafe\u0301 o\u0308 n\u0303",
        "東京 猫 パン",
        "line\n\nline\tx = {1: [2]}",
        "\x00\x7f\u200d",
    ],
)
def test_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_byte_fallback_is_used_and_avoided(tokenizer: Tokenizer) -> None:
    def is_byte(text: str) -> bool:
        return all(238 <= i <= 493 for i in tokenizer.encode(text).ids)

    assert all(is_byte(char) for char in "물पم🤖")
    assert not any(is_byte(char) for char in "猫水é🐱")


def test_no_learned_piece_crosses_a_line_or_joins_digits(tokenizer: Tokenizer) -> None:
    for piece, number in tokenizer.get_vocab().items():
        if 494 <= number < min(MULTIMODAL.values()) and not piece.startswith("<unused"):
            assert "\n" not in piece
            assert "▁" not in piece[1:]
            assert sum(char.isdigit() for char in piece) <= 1


def test_rebuilding_gives_the_same_file(tokenizer: Tokenizer) -> None:
    assert build_tokenizer(tokenizer_texts()).to_str() == tokenizer.to_str()
