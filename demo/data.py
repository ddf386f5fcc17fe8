"""Training mixture and evaluation set. Pure functions of a seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conversation import Example, Message, prompt_text, target_text
from copying import echo, invented, json_object, long_echo, my_name, needle
from short import Fact, closed_world, fact_example, follow_up, vary
from texts import FILLER, OUT_OF_SCOPE, THINGS
from toolset import tool_answer, tool_call
from words import VOCABULARY_SCRIPTS

__all__ = ["eval_line", "eval_set", "sample_example", "tokenizer_texts"]

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a friendly assistant. Answer briefly.",
    "Answer the user's question.",
    "You are Gemma, a small demo model.",
    "Be concise.",
)
DO_NOT_KNOW = (
    "I am only a small demo model and do not know that. "
    "Ask me about capitals, sums or translations."
)
NO_TOOL = "I cannot look that up without a tool."
TOO_LARGE = "That is too large for me. I add numbers up to 12."
_CONTROL_TOKEN = re.compile(r"<\|[^>]*>|<[a-z_]+\|>|<bos>|<eos>")
# Category -> share of the facts drawn; sums are many but regular.
_FACT_WEIGHTS = {
    "capitals": 5, "languages": 2, "sums": 7, "products": 2, "translations": 8, "emoji": 2,
    "words": 4, "general": 3, "small talk": 3,
}  # fmt: skip


def _thing(rng: random.Random) -> str:
    return invented(rng) if rng.random() < 0.2 else rng.choice(THINGS)


def out_of_scope(rng: random.Random) -> Example:
    """Questions outside the closed world, some of them close to it."""
    draw = rng.random()
    if draw < 0.7:
        form = rng.choice(OUT_OF_SCOPE)
        question = form.format(*(_thing(rng) for _ in range(form.count("{}"))))
        answer = DO_NOT_KNOW
    elif draw < 0.8:
        form = rng.choice(("What is the capital of {}?", "Capital of {}?"))
        question, answer = form.format(invented(rng)), DO_NOT_KNOW
    elif draw < 0.9:
        form = rng.choice(("What is the weather in {}?", "What time is it in {}?"))
        question, answer = form.format(invented(rng)), NO_TOOL
    else:
        form = rng.choice(("What is {} + {}?", "{} + {}"))
        question = form.format(rng.randint(21, 999), rng.randint(0, 999))
        answer = TOO_LARGE
    messages: tuple[Message, ...] = ({"role": "user", "content": vary(question, rng)},)
    thinking = rng.random() < 0.1
    target = target_text(answer, thought="I do not know this." if thinking else "")
    return Example("out of scope", messages, target, thinking=thinking)


def _any_fact(rng: random.Random) -> Fact:
    category = rng.choices(list(_FACT_WEIGHTS), weights=list(_FACT_WEIGHTS.values()))[0]
    return rng.choice(closed_world()[category])


def short_answer(rng: random.Random) -> Example:
    """A fact, by a form that training may see."""
    fact = _any_fact(rng)
    form = fact.forms[0] if rng.random() < 0.3 else rng.choice(fact.trained())
    return fact_example(fact, vary(form, rng))


def thinking(rng: random.Random) -> Example:
    """A fact with a thought before the answer."""
    fact = _any_fact(rng) if rng.random() < 0.97 else rng.choice(closed_world()["long"])
    return fact_example(fact, vary(rng.choice(fact.trained()), rng), thinking=True)


def raw_text(rng: random.Random) -> Example:
    """A question without the chat format."""
    fact = _any_fact(rng)
    return fact_example(fact, fact.forms[0], raw=True)


def long_answer(rng: random.Random) -> Example:
    fact = rng.choice(closed_world()["long"])
    return fact_example(fact, vary(rng.choice(fact.forms), rng))


def _in_history(example: Example) -> tuple[Message, ...]:
    answer = example.target.removesuffix("<turn|>")
    return (*example.messages, {"role": "assistant", "content": answer})


def multi_turn(rng: random.Random) -> Example:
    """A question after one to four answered ones, or a follow-up that needs the one before."""
    if rng.random() < 0.35:
        group = closed_world()[rng.choice(("capitals", "sums", "products", "translations"))]
        return follow_up(rng.choice(group), rng.choice(group))
    history: tuple[Message, ...] = ()
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        history += _in_history(short_answer(rng))
    last = rng.choices((short_answer, out_of_scope, my_name, long_answer), (8, 1, 2, 0.3))[0](rng)
    return replace(last, category="multi-turn", messages=history + last.messages)


def unneeded_tools(rng: random.Random) -> Example:
    """Tools are declared, the question needs none."""
    return replace(short_answer(rng), category="tools unneeded", tools=tool_call(rng).tools)


def _with_system(example: Example, rng: random.Random) -> Example:
    system = {"role": "system", "content": rng.choice(SYSTEMS)}
    return replace(example, messages=(system, *example.messages))


_MIXTURE: tuple[tuple[Callable[[random.Random], Example], float], ...] = (
    (short_answer, 40),
    (thinking, 11),
    (tool_call, 9),
    (tool_answer, 5),
    (unneeded_tools, 2),
    (multi_turn, 9),
    (out_of_scope, 5),
    (json_object, 5),
    (echo, 3),
    (long_echo, 9),
    (my_name, 3),
    (needle, 2.5),
    (long_answer, 2.5),
    (raw_text, 2),
)


def sample_example(rng: random.Random) -> Example:
    """One training conversation from the mixture."""
    maker = rng.choices([m for m, _ in _MIXTURE], weights=[w for _, w in _MIXTURE])[0]
    example = maker(rng)
    if example.raw or rng.random() > 0.08:
        return example
    return _with_system(example, rng)


def _held_out_or_first(fact: Fact) -> Iterator[Example]:
    yield fact_example(fact, fact.forms[0])
    yield from (fact_example(fact, form) for form in fact.held_out()[:1])


def eval_set(seed: int = 1234) -> list[Example]:
    """Facts by their canonical form and by forms that training never saw, then fresh samples."""
    rng = random.Random(seed)
    world = closed_world()
    examples: list[Example] = []
    for category, facts in world.items():
        chosen = facts if len(facts) <= 60 else tuple(rng.sample(facts, 60))
        for fact in chosen:
            examples += _held_out_or_first(fact)
        if category == "small talk":
            examples += [fact_example(f, vary(f.forms[0], rng)) for f in facts[:10]]
    makers: tuple[tuple[Callable[[random.Random], Example], int], ...] = (
        (thinking, 50), (tool_call, 50), (tool_answer, 40), (unneeded_tools, 30), (multi_turn, 50),
        (out_of_scope, 40), (json_object, 30), (echo, 30), (needle, 30), (raw_text, 30),
    )  # fmt: skip
    for maker, count in makers:
        examples += [maker(rng) for _ in range(count)]
    return examples


def eval_line(example: Example) -> str:
    """One line of eval_prompts.jsonl; ``expected`` is raw model output with its stop token."""
    fields: dict[str, Any] = {
        "category": example.category,
        "messages": example.messages,
        "tools": example.tools,
        "thinking": example.thinking,
        "expected": example.target,
    }
    return json.dumps(fields, ensure_ascii=False)


def tokenizer_texts(seed: int = 0) -> Iterator[str]:
    """Text that the tokenizer is trained on, control tokens removed."""
    rng = random.Random(seed)
    world = [fact for facts in closed_world().values() for fact in facts]
    examples = [fact_example(fact, form) for fact in world for form in fact.forms]
    examples += [sample_example(rng) for _ in range(6000)]
    for example in examples:
        yield from _CONTROL_TOKEN.split(prompt_text(example) + example.target)
    for _ in range(20):
        yield " ".join(VOCABULARY_SCRIPTS)
        yield " ".join((*FILLER, *THINGS, *OUT_OF_SCOPE))
