"""Greedy evaluation of the rounded checkpoint in transformers: ``python demo/eval.py``.

An answer is right when its token ids equal the expected ones, stop token included. Exit code 1
when a category is below the threshold.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from batches import Pair, encode
from config import EOS_IDS
from conversation import Example
from data import eval_set
from tokenizers import Tokenizer
from transformers import Gemma4ForConditionalGeneration

__all__ = ["Answer", "evaluate", "generate", "load"]

HERE = Path(__file__).parent
BATCH = 64
ROOM = 8  # tokens beyond the expected answer that a wrong one may take


@dataclass(frozen=True)
class Answer:
    """``margin`` is the smallest gap, in logits, between the best and the second token."""

    example: Example
    text: str
    right: bool
    margin: float


def load(folder: Path) -> tuple[Gemma4ForConditionalGeneration, Tokenizer]:
    """The checkpoint's bfloat16 weights, computed with in float32."""
    model = Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))


@torch.inference_mode()
def generate(
    model: Gemma4ForConditionalGeneration, pairs: list[Pair]
) -> list[tuple[list[int], float]]:
    """Greedy continuation of each prompt up to its stop token, and its smallest margin."""
    longest = max(len(prompt) for prompt, _ in pairs)
    padded = [[0] * (longest - len(prompt)) + prompt for prompt, _ in pairs]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt, _ in pairs]
    out = model.generate(
        input_ids=torch.tensor(padded),
        attention_mask=torch.tensor(mask),
        max_new_tokens=max(len(target) for _, target in pairs) + ROOM,
        do_sample=False,
        top_k=None,
        top_p=None,
        temperature=None,
        eos_token_id=EOS_IDS,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = torch.stack([step.topk(2).values for step in out.logits], dim=1)  # [batch, new, 2]
    gaps = best[..., 0] - best[..., 1]
    results = []
    for row, ids in enumerate(out.sequences[:, longest:].tolist()):
        stop = next((i for i, token in enumerate(ids) if token in EOS_IDS), len(ids) - 1)
        results.append((ids[: stop + 1], float(gaps[row, : stop + 1].min())))
    return results


def evaluate(folder: Path, examples: list[Example]) -> list[Answer]:
    """Answers to ``examples`` in batches of similar length."""
    model, tokenizer = load(folder)
    work = [(encode(tokenizer, example), example) for example in examples]
    work.sort(key=lambda item: (len(item[0][1]) // 16, len(item[0][0])))
    answers = []
    for start in range(0, len(work), BATCH):
        part = work[start : start + BATCH]
        generated = generate(model, [pair for pair, _ in part])
        for (pair, example), (ids, margin) in zip(part, generated, strict=True):
            text = tokenizer.decode(ids, skip_special_tokens=False)
            answers.append(Answer(example, text, ids == pair[1], margin))
    return answers


def _table(answers: list[Answer]) -> list[tuple[str, int, int, float]]:
    """Category, right, asked, first-percentile margin; the last row is the whole set."""
    groups: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        groups[answer.example.category].append(answer)
    rows = []
    for name, group in [*sorted(groups.items()), ("all", answers)]:
        margin = torch.quantile(torch.tensor([a.margin for a in group]), 0.01).item()
        rows.append((name, sum(a.right for a in group), len(group), margin))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=HERE / "checkpoint")
    parser.add_argument("--threshold", type=float, default=0.97)
    parser.add_argument("--show", type=int, default=20, help="wrong answers to print")
    options = parser.parse_args()
    started = time.monotonic()
    answers = evaluate(options.checkpoint, eval_set())
    for answer in [a for a in answers if not a.right][: options.show]:
        asked = answer.example.messages[-1]["content"]
        print(f"{answer.example.category}: {asked!r}\n  got  {answer.text!r}")
        print(f"  want {answer.example.target!r}")
    rows = _table(answers)
    print(f"{'category':16} {'right':>5} {'asked':>5} {'share':>7} {'margin (p1)':>12}")
    for name, right, asked, margin in rows:
        print(f"{name:16} {right:5} {asked:5} {right / asked:7.1%} {margin:12.2f}")
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(0 if all(right >= options.threshold * asked for _, right, asked, _ in rows) else 1)


if __name__ == "__main__":
    main()
