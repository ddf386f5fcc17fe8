"""The generator: deterministic, well-formed, and honest about held-out questions."""

from __future__ import annotations

import json
import random
from pathlib import Path

from conversation import Example, prompt_text
from data import eval_line, eval_set, sample_example
from short import closed_world

DEMO = Path(__file__).parents[2] / "demo"
STOPS = ("<turn|>", "<|tool_response>", "<eos>")


def drawn(seed: int, count: int = 300) -> list[Example]:
    rng = random.Random(seed)
    return [sample_example(rng) for _ in range(count)]


def test_same_seed_same_examples() -> None:
    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert eval_set() == eval_set()


def test_targets_end_with_one_stop_token() -> None:
    for example in drawn(0) + eval_set():
        assert example.target.endswith(STOPS)
        assert sum(example.target.count(stop) for stop in STOPS) == 1


def test_thinking_targets_start_with_the_channel() -> None:
    for example in drawn(1, 1500):
        if example.category == "thinking":
            assert example.target.startswith("<|channel>thought\n")
        if "<|channel>" in example.target:
            assert example.thinking


def test_held_out_forms_are_never_trained() -> None:
    held = {form for facts in closed_world().values() for f in facts for form in f.held_out()}
    assert len(held) > 300
    for example in drawn(2, 3000):
        for message in example.messages:
            assert str(message["content"]) not in held


def test_every_fact_trains_its_canonical_form() -> None:
    for facts in closed_world().values():
        for fact in facts:
            assert fact.forms[0] in fact.trained()


def test_eval_file_is_the_generated_one() -> None:
    lines = (DEMO / "eval_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [example for example in eval_set() if not example.raw]
    assert lines == [eval_line(example) for example in examples]
    assert len(lines) >= 300
    assert set(json.loads(lines[0])) == {"category", "messages", "tools", "thinking", "expected"}
    long = [e for e in examples if len(prompt_text(e)) > 600]
    assert len(long) >= 10
