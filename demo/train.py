"""Train the demo checkpoint on a CPU: ``python demo/train.py --seed 0``.

Trains in float32, writes bfloat16. The same seed, thread count and library versions on the same
kind of processor give the same weights.
"""

from __future__ import annotations

import argparse
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from batches import Batch, batches
from checkpoint import fresh_tensors, write_static, write_weights
from config import config_dict
from data import eval_line, eval_set, tokenizer_texts
from model import PREFIX, TextModel
from tokenizer import build_tokenizer
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils import deterministic

HERE = Path(__file__).parent
THREADS = 2  # each computes the gradients of half a step; part of what makes a run reproducible
BALANCE = 0.01  # weight of the router's load-balance loss
SAVE_EVERY = 250


def _leaves(text: dict[str, Any]) -> dict[str, Tensor]:
    """Every trained tensor by name. Experts become views, one matrix each: Muon takes no stacks.
    The views replace the stacks in ``text``; the storage stays that of the checkpoint."""
    leaves: dict[str, Tensor] = {}
    for name, tensor in list(text.items()):
        if tensor.dim() == 3:
            text[name] = list(tensor)
            leaves |= {f"{name}.{i}": part for i, part in enumerate(text[name])}
        else:
            leaves[name] = tensor
    for leaf in leaves.values():
        leaf.requires_grad_()
    return leaves


def _optimizers(leaves: dict[str, Tensor], rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of attention and MLPs, dealt out to the threads, AdamW for the rest."""
    matrices = {
        n: w for n, w in leaves.items() if w.dim() == 2 and "proj" in n and "router" not in n
    }
    muon: list[torch.optim.Optimizer] = [
        torch.optim.Muon(
            list(matrices.values())[i::THREADS],
            lr=rate,
            weight_decay=0.02,
            adjust_lr_fn="match_rms_adamw",
        )
        for i in range(THREADS)
    ]
    rest = [w for n, w in leaves.items() if n not in matrices]
    groups = [
        {"params": [w for w in rest if w.dim() == 2], "weight_decay": 0.02},
        {"params": [w for w in rest if w.dim() < 2], "weight_decay": 0.0},
    ]
    return [*muon, torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.97), fused=True)]


def _pace(step: int, steps: int) -> float:
    """Learning-rate factor: linear warmup over 3 %, then linear decay to 1 %."""
    warm = max(1, steps * 3 // 100)
    if step < warm:
        return (step + 1) / warm
    return 1 - 0.99 * (step - warm) / max(1, steps - warm)


def _repeated_share(step: int, steps: int) -> float:
    """Share of :func:`batches.repeated` sequences: 40 % at first, 3 % from half way on."""
    return max(0.03, 0.4 * (1 - 2 * step / steps))


def _gradients(
    model: TextModel, leaves: list[Tensor], batch: Batch, targets: int
) -> tuple[tuple[Tensor, ...], float, float]:
    """Gradients of this batch's share of a step over ``targets`` target tokens, loss, balance."""
    logits, balance = model(batch.ids, batch.positions, batch.blocks, batch.wanted)
    loss = cross_entropy(logits, batch.labels, reduction="sum") / targets
    total = loss + balance * (BALANCE / THREADS)
    return torch.autograd.grad(total, leaves), loss.item(), balance.item()


def train(*, seed: int, steps: int, tokens: int, rate: float, folder: Path) -> Tokenizer:
    """Train and write the checkpoint into ``folder``, every SAVE_EVERY steps and at the end."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    tokenizer = build_tokenizer(tokenizer_texts())
    write_static(folder, tokenizer)
    tensors = fresh_tensors(seed)
    write_weights(folder, tensors, tokenizer)
    text: dict[str, Any] = {
        n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)
    }
    leaves = list((named := _leaves(text)).values())
    model = TextModel(config_dict(), text)
    optimizers = _optimizers(named, rate)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, steps))
        for optimizer in optimizers
    ]
    step = 0
    source = batches(
        tokenizer, random.Random(seed), tokens // THREADS, lambda: _repeated_share(step, steps)
    )
    workers = ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,))
    started, seen, shown = time.monotonic(), 0, 0.0
    for step in range(1, steps + 1):
        shares = [next(source) for _ in range(THREADS)]
        targets = sum(len(share.labels) for share in shares)
        done = [workers.submit(_gradients, model, leaves, share, targets) for share in shares]
        results = [future.result() for future in done]
        for weight, *parts in zip(leaves, *(r[0] for r in results), strict=True):
            weight.grad = sum(parts[1:], parts[0])
        loss = sum(r[1] for r in results)
        torch.nn.utils.clip_grad_norm_(leaves, 1.0)
        for stepped in [workers.submit(optimizer.step) for optimizer in optimizers]:
            stepped.result()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
        seen += sum(len(share.ids) for share in shares)
        shown = loss if step == 1 else 0.96 * shown + 0.04 * loss
        if step % 25 == 0:
            spent = time.monotonic() - started
            print(
                f"step {step}/{steps} loss {shown:.4f} balance {results[0][2]:.2f} "
                f"tokens/s {seen / spent:.0f} minutes {spent / 60:.1f}",
                flush=True,
            )
        if step % SAVE_EVERY == 0 or step == steps:
            write_weights(folder, tensors, tokenizer)
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--tokens", type=int, default=3072, help="tokens in an optimizer step")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--out", type=Path, default=HERE / "checkpoint")
    options = parser.parse_args()
    prompts = "".join(eval_line(e) + "\n" for e in eval_set() if not e.raw)
    (HERE / "eval_prompts.jsonl").write_text(prompts, encoding="utf-8")
    train(
        seed=options.seed,
        steps=options.steps,
        tokens=options.tokens,
        rate=options.rate,
        folder=options.out,
    )


if __name__ == "__main__":
    main()
