"""The demo tokenizer: Gemma 4's low-id layout in a vocabulary of 2,048.

ids 0-4 pad, eos, bos, unk, mask; control tokens at their real ids up to 106; newline runs from
107, space runs from 138; byte tokens 238-493; learned pieces; multimodal placeholders at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

__all__ = ["CONTROL", "MULTIMODAL", "VOCAB_SIZE", "build_tokenizer", "write_tokenizer"]

VOCAB_SIZE = 2048
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


def _learn(texts: Iterable[str], size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Characters and merges of words; a merge never crosses a space or a newline."""
    learner = Tokenizer(BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "removed"), pre_tokenizers.Split("▁", "merged_with_next")]
    )
    trainer = BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False, limit_alphabet=200)
    learner.train_from_iterator(texts, trainer)
    model = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    made = {a + b for a, b in merges}
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
    vocab = {**CONTROL, **MULTIMODAL}
    vocab |= _runs("\n", NEWLINES, shortest=1) | _runs("▁", SPACES, shortest=2)
    vocab |= {f"<0x{byte:02X}>": FIRST_BYTE + byte for byte in range(256)}
    pieces = [*letters, *dict.fromkeys(a + b for a, b in merges)]
    next_id = FIRST_LEARNED
    for piece in pieces:
        if piece not in vocab and next_id < VOCAB_SIZE - len(MULTIMODAL):
            vocab[piece] = next_id
            next_id += 1
    taken = set(vocab.values())
    free = [i for i in range(VOCAB_SIZE) if i not in taken]
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
    tokenizer.add_special_tokens(list(CONTROL) + list(MULTIMODAL))
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
        "extra_special_tokens": {"video_token": "<|video|>"},
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
    }


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json into ``folder``."""
    tokenizer.save(str(folder / "tokenizer.json"))
    text = json.dumps(tokenizer_config(), indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
