"""Fresh weights for training, and the checkpoint folder that training writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from config import config_dict, generation_config_dict
from conversation import TEMPLATE
from induction import plant_induction
from model import PREFIX
from safetensors.torch import save_file
from tokenizer import CONTROL, MULTIMODAL, write_tokenizer
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Gemma4Config, Gemma4ForConditionalGeneration

__all__ = ["fresh_tensors", "write_static", "write_weights"]

EMBEDDING = PREFIX + "embed_tokens.weight"
QUIET = 0.02  # factor on embedding rows that must never be emitted


def _initial(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Attention has scale 1.0, so q_norm starts near head_dim**-0.5 * 2; router inputs are small."""
    if name.endswith("q_norm.weight"):
        return torch.full_like(tensor, 2.0 * tensor.shape[0] ** -0.5)
    if name.endswith("layer_scalar"):
        return 0.8 + 0.3 * torch.rand(tensor.shape, generator=generator)
    if name.endswith(("router.scale", "per_expert_scale")):
        return 0.9 + 0.2 * torch.rand(tensor.shape, generator=generator)
    if tensor.dim() < 2:
        return torch.ones_like(tensor)
    fan_in = tensor.shape[-1]
    std = 1.0 if name.endswith("router.proj.weight") else fan_in**-0.5
    return torch.randn(tensor.shape, generator=generator) * std


def fresh_tensors(seed: int) -> dict[str, Tensor]:
    """Every tensor of the checkpoint by its stored name, float32; the vision tower is untrained."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Gemma4ForConditionalGeneration(Gemma4Config.from_dict(config_dict())).float()
    tensors = {n: t.detach().clone() for n, t in model.state_dict().items() if "lm_head" not in n}
    fresh = {
        name: _initial(name, tensor, generator) if name.startswith(PREFIX) else tensor
        for name, tensor in tensors.items()
    }
    plant_induction(fresh, config_dict(), PREFIX)
    return fresh


def _silenced(embedding: Tensor, tokenizer: Tokenizer) -> Tensor:
    """Rows of unused and multimodal tokens made small, so that no logit of theirs is large."""
    vocab = tokenizer.get_vocab()
    rows = [i for name, i in vocab.items() if name.startswith("<unused") or name in MULTIMODAL]
    rows += [CONTROL[name] for name in ("<pad>", "<unk>", "<mask>")]
    quiet = embedding.clone()
    quiet[sorted(rows)] *= QUIET
    return quiet


def write_static(folder: Path, tokenizer: Tokenizer) -> None:
    """Everything of a checkpoint but the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(tokenizer, folder)
    configs = {"config.json": config_dict(), "generation_config.json": generation_config_dict()}
    for name, content in configs.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(TEMPLATE, folder / "chat_template.jinja")


def write_weights(folder: Path, tensors: dict[str, Tensor], tokenizer: Tokenizer) -> None:
    """model.safetensors in bfloat16; the tied head is not stored. Replaced in one step."""
    kept = tensors | {EMBEDDING: _silenced(tensors[EMBEDDING].detach(), tokenizer)}
    rounded = {n: t.detach().to(torch.bfloat16).contiguous() for n, t in kept.items()}
    part = folder / "model.safetensors.part"
    save_file(rounded, str(part), metadata={"format": "pt"})
    part.chmod(0o644)
    part.replace(folder / "model.safetensors")
