"""Train the demo checkpoint on CPU: ``python demo/train.py --seed 0 --out demo/checkpoint``.

Trains in float32, writes bfloat16. The same seed, thread count and library versions give the same
weights.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from data import Example, all_texts, eval_set, sample_example
from jinja2 import Environment
from model import config_dict, generation_config_dict, new_model
from safetensors.torch import save_file
from tokenizer import build_tokenizer, write_tokenizer
from tokenizers import Tokenizer

HERE = Path(__file__).parent
POOL = 1024
IGNORED = -100


class Encoder:
    """Conversation -> (prompt ids, target ids), by the checkpoint's own template."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        environment = Environment(trim_blocks=True, lstrip_blocks=True)
        source = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
        self._template = environment.from_string(source)

    def __call__(self, example: Example) -> tuple[list[int], list[int]]:
        prompt = self._template.render(
            messages=example.messages,
            tools=example.tools,
            enable_thinking=example.thinking,
            add_generation_prompt=True,
            bos_token="<bos>",
        )
        return self._tokenizer.encode(prompt).ids, self._tokenizer.encode(example.target).ids


def batches(
    encode: Encoder, rng: random.Random, tokens: int
) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Endless batches of similar length, about ``tokens`` tokens each with padding."""
    while True:
        pool = sorted(
            (encode(sample_example(rng)) for _ in range(POOL)), key=lambda p: len(p[0] + p[1])
        )
        made: list[list[tuple[list[int], list[int]]]] = []
        batch: list[tuple[list[int], list[int]]] = []
        for pair in pool:
            if batch and (len(batch) + 1) * len(pair[0] + pair[1]) > tokens:
                made.append(batch)
                batch = []
            batch.append(pair)
        made.append(batch)
        rng.shuffle(made)
        yield from made


def collate(
    batch: list[tuple[list[int], list[int]]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """int64 ids, labels (IGNORED outside the model's turn) and mask, each [batch, longest]."""
    longest = max(len(p) + len(t) for p, t in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for row, (prompt, target) in enumerate(batch):
        end = len(prompt) + len(target)
        ids[row, :end] = torch.tensor(prompt + target)
        labels[row, len(prompt) : end] = torch.tensor(target)
        mask[row, :end] = 1
    return ids, labels, mask


def write_static(folder: Path, tokenizer: Tokenizer) -> None:
    """Everything of a checkpoint but the weights, and the evaluation set beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(tokenizer, folder)
    for name, content in (
        ("config.json", config_dict()),
        ("generation_config.json", generation_config_dict()),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(HERE / "chat_template.jinja", folder / "chat_template.jinja")
    with (folder.parent / "eval_prompts.jsonl").open("w", encoding="utf-8") as file:
        for example in eval_set():
            file.write(json.dumps(vars(example), ensure_ascii=False) + "\n")


def write_weights(model: torch.nn.Module, folder: Path) -> None:
    """model.safetensors in bfloat16; the tied head is not stored."""
    tensors = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if not name.startswith("lm_head")
    }
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})


def train(*, seed: int, steps: int, tokens: int, rate: float, folder: Path) -> None:
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True, warn_only=True)
    tokenizer = build_tokenizer(all_texts())
    write_static(folder, tokenizer)
    model = new_model(seed)
    model.set_experts_implementation("grouped_mm")
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if name.endswith("layer_scalar"):
            buffer.copy_(0.8 + 0.4 * torch.rand(buffer.shape, generator=generator))
    weights = [p for n, p in model.named_parameters() if "language_model" in n]
    decayed = [p for p in weights if p.dim() >= 2]
    plain = [p for p in weights if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.98),
    )
    warm = max(1, steps // 25)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: (
            min(1.0, (s + 1) / warm)
            * (0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, s / steps))) / 2)
        ),
    )
    source = batches(Encoder(tokenizer), random.Random(seed), tokens)
    started, seen, shown = time.monotonic(), 0, 0.0
    for step in range(1, steps + 1):
        ids, labels, mask = collate(next(source))
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        seen += ids.numel()
        shown = loss.item() if step == 1 else 0.95 * shown + 0.05 * loss.item()
        if step % 50 == 0:
            spent = time.monotonic() - started
            print(
                f"step {step} loss {shown:.4f} tokens/s {seen / spent:.0f} minutes {spent / 60:.1f}",
                flush=True,
            )
        if step % 250 == 0 or step == steps:
            write_weights(model, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument(
        "--tokens", type=int, default=3072, help="tokens in a batch, padding included"
    )
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--out", type=Path, default=HERE / "checkpoint")
    arguments = parser.parse_args()
    train(
        seed=arguments.seed,
        steps=arguments.steps,
        tokens=arguments.tokens,
        rate=arguments.rate,
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
