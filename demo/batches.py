"""Conversations -> flat batches with little padding."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from conversation import Example, prompt_text
from data import sample_example
from model import Block
from tokenizer import CONTROL, FIRST_BYTE, FIRST_LEARNED, MULTIMODAL
from tokenizers import Tokenizer

__all__ = ["Batch", "assemble", "batches", "encode", "repeated"]

Pair = tuple[list[int], list[int]]
SLACK = 1.12  # a block's longest sequence over its shortest


@dataclass(frozen=True)
class Batch:
    """One optimizer step. ``ids`` and ``positions`` [tokens]; ``wanted`` and ``labels`` [targets].

    The logits of token ``wanted[i]`` predict ``labels[i]``.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    blocks: list[Block]
    wanted: torch.Tensor
    labels: torch.Tensor


def encode(tokenizer: Tokenizer, example: Example) -> Pair:
    """Prompt ids and target ids."""
    return tokenizer.encode(prompt_text(example)).ids, tokenizer.encode(example.target).ids


def _length(pair: Pair) -> int:
    """The last target token is predicted, never read."""
    return len(pair[0]) + len(pair[1]) - 1


def _grouped(pairs: list[Pair]) -> Iterator[list[Pair]]:
    group: list[Pair] = []
    for pair in sorted(pairs, key=_length):
        if group and _length(pair) > SLACK * _length(group[0]) + 2:
            yield group
            group = []
        group.append(pair)
    yield group


def assemble(pairs: list[Pair]) -> Batch:
    """Pack sequences into blocks of similar length, padded at the end with id 0."""
    ids: list[int] = []
    positions: list[int] = []
    blocks: list[Block] = []
    wanted: list[int] = []
    labels: list[int] = []
    for group in _grouped(pairs):
        longest = _length(group[-1])
        blocks.append(Block(len(ids), len(group), longest))
        for prompt, target in group:
            first = len(ids) + len(prompt) - 1
            wanted += range(first, first + len(target))
            labels += target
            read = (prompt + target)[:-1]
            ids += read + [0] * (longest - len(read))
            positions += range(longest)
    tensors = [torch.tensor(numbers) for numbers in (ids, positions, wanted, labels)]
    return Batch(tensors[0], tensors[1], blocks, tensors[2], tensors[3])


def _any_token(rng: random.Random) -> int:
    if rng.random() < 0.1:
        return rng.randrange(FIRST_BYTE, FIRST_LEARNED)
    return rng.randrange(FIRST_LEARNED, min(MULTIMODAL.values()))


def repeated(rng: random.Random) -> Pair:
    """Random tokens of which a run comes again: what to copy is told by the run's first token."""
    run, before, between = (
        [_any_token(rng) for _ in range(rng.randint(least, 20))] for least in (3, 0, 0)
    )
    return [CONTROL["<bos>"], *before, *run, *between, run[0]], run[1:]


def batches(
    tokenizer: Tokenizer, rng: random.Random, tokens: int, share: Callable[[], float]
) -> Iterator[Batch]:
    """Endless batches of about ``tokens`` tokens, each a fair draw from the mixture, in which
    ``share`` of the sequences are :func:`repeated`."""
    while True:
        pairs: list[Pair] = []
        total = 0
        while total < tokens:
            if rng.random() < share():
                pairs.append(repeated(rng))
            else:
                pairs.append(encode(tokenizer, sample_example(rng)))
            total += _length(pairs[-1])
        yield assemble(pairs)
