"""The committed checkpoint: size, tensors, the training model's arithmetic, a few answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from batches import encode
from config import config_dict, generation_config_dict
from conversation import TEMPLATE, prompt_text
from data import eval_set
from eval import generate, load
from model import PREFIX, Block, TextModel
from safetensors import safe_open
from tokenizer import MULTIMODAL
from transformers import AutoTokenizer

CHECKPOINT = Path(__file__).parents[2] / "demo" / "checkpoint"
TEXT = config_dict()["text_config"]


@pytest.fixture(scope="module")
def loaded() -> Any:
    return load(CHECKPOINT)


def stored() -> dict[str, list[int]]:
    with safe_open(CHECKPOINT / "model.safetensors", "pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"BF16"}  # noqa: SIM118
        return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118


def test_size_and_files() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) < 14 * 2**20
    assert json.loads((CHECKPOINT / "config.json").read_text()) == config_dict()
    written = json.loads((CHECKPOINT / "generation_config.json").read_text())
    assert written == generation_config_dict()
    assert written["eos_token_id"] == [1, 106, 50]
    assert (CHECKPOINT / "chat_template.jinja").read_bytes() == TEMPLATE.read_bytes()


def test_tensor_list() -> None:
    shapes = stored()
    hidden, experts, inner = (
        TEXT[k] for k in ("hidden_size", "num_experts", "moe_intermediate_size")
    )
    assert "lm_head.weight" not in shapes
    assert shapes[PREFIX + "embed_tokens.weight"] == [TEXT["vocab_size"], hidden]
    assert "model.embed_vision.embedding_projection.weight" in shapes
    for n, kind in enumerate(TEXT["layer_types"]):
        name = f"{PREFIX}layers.{n}."
        full = kind == "full_attention"
        heads = TEXT["num_global_key_value_heads" if full else "num_key_value_heads"]
        dim = TEXT["global_head_dim" if full else "head_dim"]
        assert shapes[name + "self_attn.k_proj.weight"] == [heads * dim, hidden]
        assert (name + "self_attn.v_proj.weight" in shapes) is not full
        assert shapes[name + "experts.gate_up_proj"] == [experts, 2 * inner, hidden]
        assert shapes[name + "experts.down_proj"] == [experts, hidden, inner]
        assert shapes[name + "layer_scalar"] == [1]
        assert shapes[name + "router.per_expert_scale"] == [experts]


def test_matrices_fit_blocks_of_32() -> None:
    for name, shape in stored().items():
        if name.startswith(PREFIX) and len(shape) > 1 and "router" not in name:
            assert all(side % 32 == 0 for side in shape[-2:]), name


def test_auto_tokenizer_agrees(loaded: Any) -> None:
    auto = AutoTokenizer.from_pretrained(CHECKPOINT)
    for example in eval_set()[::40]:
        if example.raw:
            continue
        text = auto.apply_chat_template(
            list(example.messages), tools=list(example.tools) or None, tokenize=False,
            add_generation_prompt=True, enable_thinking=example.thinking,
        )  # fmt: skip
        assert text == prompt_text(example)
        ids = loaded[1].encode(text).ids
        assert auto(text, add_special_tokens=False).input_ids == ids


def test_training_model_is_the_same_function(loaded: Any) -> None:
    model, tokenizer = loaded
    weights = {n.removeprefix(PREFIX): t for n, t in model.state_dict().items() if PREFIX in n}
    example = next(e for e in eval_set() if e.category == "long prompts")
    ids = encode(tokenizer, example)[0]
    count = len(ids)
    assert count > TEXT["sliding_window"]
    every = torch.arange(count)
    with torch.inference_mode():
        ours, _ = TextModel(config_dict(), weights)(
            torch.tensor(ids), every, [Block(0, 1, count)], every
        )
        theirs = model(input_ids=torch.tensor([ids])).logits[0]
    assert (ours - theirs).abs().max() < 2e-3


def test_silenced_rows(loaded: Any) -> None:
    norms = loaded[0].state_dict()[PREFIX + "embed_tokens.weight"].norm(dim=-1)
    assert max(norms[i] for i in MULTIMODAL.values()) < 0.1 * norms.median()


def test_answers(loaded: Any) -> None:
    model, tokenizer = loaded
    wanted = ("capitals", "sums", "emoji", "languages", "thinking", "tool calls", "tool answers")
    examples = [next(e for e in eval_set() if e.category == name) for name in wanted]
    pairs = [encode(tokenizer, example) for example in examples]
    got = [tokenizer.decode(i, skip_special_tokens=False) for i, _ in generate(model, pairs)]
    assert got == [example.target for example in examples]
