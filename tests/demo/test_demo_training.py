"""The planted heads look where they should; the copying exercise can be solved by copying."""

from __future__ import annotations

import random
from typing import Any, Never

import torch
from batches import batches, repeated
from checkpoint import fresh_tensors
from config import config_dict
from model import PREFIX, TextModel, _rms, _rotate
from tokenizer import CONTROL, MULTIMODAL

TEXT = config_dict()["text_config"]


def layer_inputs(weights: Any, ids: list[int]) -> Any:
    """What layer 0's attention reads, [tokens, hidden]."""
    h = weights["embed_tokens.weight"][ids] * TEXT["hidden_size"] ** 0.5
    return _rms(h, weights["layers.0.input_layernorm.weight"])


def test_fresh_heads_look_one_and_two_tokens_back() -> None:
    tensors = fresh_tensors(seed=3)
    weights = {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}
    model = TextModel(config_dict(), weights)
    ids = torch.tensor([random.Random(n).randrange(500, 4000) for n in range(60)])
    cos, sin = (table[:60] for table in model._angles["sliding_attention"])
    x, dim = layer_inputs(weights, ids), TEXT["head_dim"]
    query, key = (
        _rotate(
            _rms((x @ weights[f"layers.0.self_attn.{k}_proj.weight"].T).view(60, -1, dim),
                 weights[f"layers.0.self_attn.{k}_norm.weight"]), cos, sin)
        for k in "qk"
    )  # fmt: skip
    for head, back in ((0, 1), (1, 2)):
        scores = query[:, head] @ key[:, 0].T
        scores = scores.masked_fill(torch.ones(60, 60).triu(1).bool(), -torch.inf)
        assert scores.argmax(-1).tolist()[2:] == [p - back for p in range(2, 60)]
        assert scores.softmax(-1)[10:].max(-1).values.min() > 0.8


def test_fresh_full_layers_copy_the_current_token() -> None:
    """Value and output of the planted heads bring a token's embedding back."""
    tensors = fresh_tensors(seed=3)
    name = f"{PREFIX}layers.2.self_attn."
    half = TEXT["global_head_dim"] // 2
    embedding = tensors[f"{PREFIX}embed_tokens.weight"][500:700].clone()
    embedding[:, 0] = 0
    value = embedding @ tensors[f"{name}k_proj.weight"][half:].T
    back = value @ tensors[f"{name}o_proj.weight"][:, half : 2 * half].T
    assert (back @ embedding.T).argmax(-1).tolist() == list(range(200))


def test_repeated_runs_are_in_the_prompt() -> None:
    rng = random.Random(5)
    for _ in range(200):
        prompt, target = repeated(rng)
        run = [prompt[-1], *target]
        starts = [i for i in range(len(prompt) - 1) if prompt[i : i + len(run)] == run]
        assert prompt[0] == CONTROL["<bos>"] and starts
        assert max(prompt + target) < min(MULTIMODAL.values())


def test_the_share_of_repeated_sequences_is_what_was_asked_for() -> None:
    def no_tokenizer_needed(*_: Any) -> Never:
        raise AssertionError("a conversation was drawn")

    class Tokenizer:
        encode = no_tokenizer_needed

    batch = next(batches(Tokenizer(), random.Random(0), 500, lambda: 1.0))
    assert len(batch.ids) >= 500
