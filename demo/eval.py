"""Greedy evaluation in transformers: ``python demo/eval.py``. Exit code 1 below 97 %."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import torch
from data import Example
from model import EOS_IDS
from tokenizers import Tokenizer
from train import Encoder
from transformers import Gemma4ForConditionalGeneration

HERE = Path(__file__).parent
BATCH = 32
MARGIN = 8
"""Tokens beyond the expected answer that a wrong one may take."""


def load_examples(path: Path) -> list[Example]:
    with path.open(encoding="utf-8") as file:
        return [Example(**json.loads(line)) for line in file]


@torch.inference_mode()
def answers(
    model: Gemma4ForConditionalGeneration, pairs: list[tuple[list[int], list[int]]]
) -> list[list[int]]:
    """Greedy continuations of the prompts, cut after the first stop token."""
    longest = max(len(prompt) for prompt, _ in pairs)
    ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (prompt, _) in enumerate(pairs):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    room = max(len(target) for _, target in pairs) + MARGIN
    out = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=room, do_sample=False,
        top_k=None, top_p=None, temperature=None, eos_token_id=EOS_IDS, pad_token_id=0,
    )  # fmt: skip
    results = []
    for row in out[:, longest:].tolist():
        stops = [i for i, token in enumerate(row) if token in EOS_IDS]
        results.append(row[: stops[0] + 1] if stops else row)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=HERE / "checkpoint")
    parser.add_argument("--threshold", type=float, default=0.97)
    parser.add_argument("--show", type=int, default=10, help="wrong answers to print")
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(arguments.checkpoint / "tokenizer.json"))
    encode = Encoder(tokenizer)
    model = Gemma4ForConditionalGeneration.from_pretrained(
        arguments.checkpoint, dtype=torch.float32
    )
    model.eval()
    examples = load_examples(HERE / "eval_prompts.jsonl")
    work = sorted(((encode(e), e) for e in examples), key=lambda w: len(w[0][1]))
    right: dict[str, list[bool]] = defaultdict(list)
    wrong: list[str] = []
    for start in range(0, len(work), BATCH):
        part = work[start : start + BATCH]
        for (pair, example), got in zip(part, answers(model, [p for p, _ in part]), strict=True):
            good = got == pair[1]
            right[example.category].append(good)
            if not good:
                text = tokenizer.decode(got, skip_special_tokens=False)
                wrong.append(
                    f"{example.messages[-1]['content']!r} -> {text!r}, not {example.target!r}"
                )
    for line in wrong[: arguments.show]:
        print(line)
    total = [good for goods in right.values() for good in goods]
    for category, goods in sorted(right.items()):
        print(f"{category:14} {sum(goods):4} / {len(goods):4}  {sum(goods) / len(goods):7.1%}")
    share = sum(total) / len(total)
    print(f"{'all':14} {sum(total):4} / {len(total):4}  {share:7.1%}")
    sys.exit(0 if share >= arguments.threshold else 1)


if __name__ == "__main__":
    main()
