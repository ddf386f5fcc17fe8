"""The demo tokenizer: Gemma 4's low-id layout in a vocabulary of 4,096.

ids 0-4 pad, eos, bos, unk, mask; control tokens at their real ids up to 106; newline runs from
107, space runs from 138; byte tokens 238-493; learned pieces; multimodal placeholders at the end.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from words import VOCABULARY_SCRIPTS

__all__ = ["CONTROL", "MULTIMODAL", "VOCAB_SIZE", "build_tokenizer", "write_tokenizer"]

VOCAB_SIZE = 4096
FIRST_BYTE = 238
FIRST_LEARNED = 494
NEWLINES, SPACES, LONGEST_RUN = 107, 138, 31
CONTROL = {
    "<pad>": 0,
    "<eos>": 1,
    "<bos>": 2,
    "<unk>": 3,
    "<mask>": 4,
    "<|tool>": 46,
    "<tool|>": 47,
    "<|tool_call>": 48,
    "<tool_call|>": 49,
    "<|tool_response>": 50,
    "<tool_response|>": 51,
    '<|"|>': 52,
    "<|think|>": 98,
    "<|channel>": 100,
    "<channel|>": 101,
    "<|turn>": 105,
    "<turn|>": 106,
}
_PLACEHOLDERS = (
    "<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>",
)  # fmt: skip
MULTIMODAL = {name: VOCAB_SIZE - len(_PLACEHOLDERS) + i for i, name in enumerate(_PLACEHOLDERS)}


def _in_vocabulary(char: str) -> bool:
    """Latin, Greek and Cyrillic letters and chosen characters; the rest goes through bytes."""
    if char in VOCABULARY_SCRIPTS or char == "\u0301":
        return True
    kind = unicodedata.category(char)
    if kind in ("Mn", "So", "Sk", "Cf"):
        return False
    name = unicodedata.name(char, "")
    return ord(char) < 0x530 or 0x2000 <= ord(char) < 0x2200 or name.startswith(
        ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "FULLWIDTH")
    )  # fmt: skip


def _learnable(text: str) -> str:
    """Characters that use byte fallback become line breaks, so that no merge crosses them."""
    return "".join(char if char == "\n" or _in_vocabulary(char) else "\n" for char in text)


def _learn(texts: Iterable[str], size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Characters and merges; a merge crosses no space, line break, digit or punctuation mark.

    A space joins the word after it only before a lower-case letter: a name has the same pieces
    after a space and after a quote, which makes copying it learnable for a small model.
    """
    learner = Tokenizer(BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "removed"),
            pre_tokenizers.Split(Regex(r"▁(?=[^\p{Ll}])"), "isolated"),
            pre_tokenizers.Split("▁", "merged_with_next"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Split(Regex("[\u3040-\u30ff\u4e00-\u9fff]"), "isolated"),
        ]
    )
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=3,
        show_progress=False,
        initial_alphabet=[chr(code) for code in range(33, 127)],
    )
    learner.train_from_iterator(map(_learnable, texts), trainer)
    model = json.loads(learner.to_str())["model"]
    merges = [(str(left), str(right)) for left, right in model["merges"]]
    made = {left + right for left, right in merges}
    letters = sorted(token for token in model["vocab"] if token not in made)
    return letters, merges


def _runs(char: str, first_id: int, *, shortest: int) -> dict[str, int]:
    return {
        char * length: first_id + length - shortest for length in range(shortest, LONGEST_RUN + 1)
    }


def _run_merges(char: str) -> list[tuple[str, str]]:
    """All splits of every run: otherwise two implementations merge long runs differently."""
    return [
        (char * left, char * (length - left))
        for length in range(2, LONGEST_RUN + 1)
        for left in range(1, length)
    ]


def build_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Train on ``texts``; deterministic for the same texts in the same order."""
    room = VOCAB_SIZE - FIRST_LEARNED - len(MULTIMODAL)
    letters, merges = _learn(texts, room)
    vocab = CONTROL | MULTIMODAL
    vocab |= _runs("\n", NEWLINES, shortest=1) | _runs("▁", SPACES, shortest=2)
    vocab |= {f"<0x{byte:02X}>": FIRST_BYTE + byte for byte in range(256)}
    pieces = (p for p in dict.fromkeys([*letters, *(a + b for a, b in merges)]) if p not in vocab)
    vocab |= {piece: FIRST_LEARNED + i for i, piece in zip(range(room), pieces, strict=False)}
    free = sorted(set(range(VOCAB_SIZE)) - set(vocab.values()))
    vocab |= {f"<unused{n}>": i for n, i in enumerate(free)}
    kept = [(a, b) for a, b in merges if a in vocab and b in vocab and a + b in vocab]
    tokenizer = Tokenizer(
        BPE(
            vocab=vocab,
            merges=[*_run_merges("\n"), *_run_merges("▁"), *kept],
            byte_fallback=True,
            fuse_unk=True,
            unk_token="<unk>",
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = sorted(CONTROL | MULTIMODAL, key=(CONTROL | MULTIMODAL).__getitem__)
    tokenizer.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    return tokenizer


def tokenizer_config() -> dict[str, Any]:
    """The keys that readers use; names as in the published checkpoints."""
    return {
        "tokenizer_class": "GemmaTokenizer",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
        "sot_token": "<|turn>",
        "eot_token": "<turn|>",
        "soc_token": "<|channel>",
        "eoc_token": "<channel|>",
        "think_token": "<|think|>",
        "escape_token": '<|"|>',
        "stc_token": "<|tool_call>",
        "etc_token": "<tool_call|>",
        "std_token": "<|tool>",
        "etd_token": "<tool|>",
        "str_token": "<|tool_response>",
        "etr_token": "<tool_response|>",
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "image_token": "<|image|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
        "audio_token": "<|audio|>",
        "extra_special_tokens": ["<|video|>"],
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
    }


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json into ``folder``."""
    tokenizer.save(str(folder / "tokenizer.json"))
    text = json.dumps(tokenizer_config(), indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
