"""Short questions with one right answer: the closed world as a list of :class:`Fact`."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from functools import cache

from conversation import Example, target_text
from facts import (
    CAPITALS,
    CAPITALS_ABROAD,
    COLOURS,
    ELEMENTS,
    GENERAL,
    OPPOSITES,
    SMALL_TALK,
    SOUNDS,
)
from texts import LONG
from words import EMOJI, TRANSLATIONS

__all__ = ["Fact", "closed_world", "fact_example", "follow_up", "vary"]

LARGEST_ADDEND = 12
LARGEST_FACTOR = 6


@dataclass(frozen=True)
class Fact:
    """Question forms (the first is the canonical one), the answer and the thought before it.

    ``follow`` asks the same after another fact of the category, such as "And of Italy?".
    """

    category: str
    forms: tuple[str, ...]
    answer: str
    thought: str
    follow: str = ""

    def held_out(self) -> tuple[str, ...]:
        """Forms kept for evaluation: about one in six, never the canonical one."""
        if len(self.forms) < 4:
            return ()
        return tuple(f for f in self.forms[1:] if zlib.crc32(f.encode()) % 6 == 0)

    def trained(self) -> tuple[str, ...]:
        """Forms that training sees."""
        kept = set(self.forms) - set(self.held_out())
        return tuple(form for form in self.forms if form in kept)


def _forms(text: str, **words: object) -> tuple[str, ...]:
    return tuple(form.format(**words) for form in text.split("|"))


def capitals() -> list[Fact]:
    text = (
        "What is the capital of {c}?|What's the capital of {c}?|Capital of {c}?|"
        "Tell me the capital of {c}.|Which city is the capital of {c}?|"
        "Name the capital city of {c}.|What is the capital city of {c}?"
    )
    return [
        Fact(
            "capitals",
            _forms(text, c=country),
            f"The capital of {country} is {city.removesuffix('.')}.",
            f"The user asks for the capital of {country}. It is {city.removesuffix('.')}.",
            f"And of {country}?",
        )
        for country, city in CAPITALS.items()
    ]


def capitals_abroad() -> list[Fact]:
    return [
        Fact("languages", (question,), answer, f"The answer is: {answer}")
        for question, answer in CAPITALS_ABROAD.items()
    ]


def sums() -> list[Fact]:
    text = (
        "What is {a} + {b}?|What is {a} plus {b}?|{a} + {b}|Add {a} and {b}.|How much is {a} + {b}?|"
        "Calculate {a} + {b}.|What's {a} + {b}?|{a} + {b} = ?"
    )
    span = range(LARGEST_ADDEND + 1)
    return [
        Fact(
            "sums",
            _forms(text, a=a, b=b),
            f"{a} + {b} = {a + b}.",
            f"I add {a} and {b}. The sum is {a + b}.",
            f"And {a} + {b}?",
        )
        for a in span
        for b in span
    ]


def products() -> list[Fact]:
    text = "What is {a} times {b}?|What is {a} * {b}?|{a} * {b}|Multiply {a} by {b}.|{a} times {b}"
    span = range(1, LARGEST_FACTOR + 1)
    return [
        Fact(
            "products",
            _forms(text, a=a, b=b),
            f"{a} × {b} = {a * b}.",
            f"I multiply {a} by {b}. The product is {a * b}.",
            f"And {a} times {b}?",
        )
        for a in span
        for b in span
    ]


def translations() -> list[Fact]:
    text = (
        "How do you say {w} in {l}?|Translate {w} to {l}.|What is {w} in {l}?|"
        "What is the {l} word for {w}?|{w} in {l}|Say {w} in {l}.|Translate {w} into {l}."
    )
    return [
        Fact(
            "translations",
            _forms(text, w=word, l=language),
            f"The {language} word for {word} is {answer}.",
            f"The user wants {word} in {language}. It is {answer}.",
            f"And {word} in {language}?",
        )
        for (word, language), answer in TRANSLATIONS.items()
    ]


def emoji() -> list[Fact]:
    text = (
        "Give me an emoji for {w}.|Show me the {w} emoji.|What is the emoji for {w}?|{w} emoji|"
        "Send me a {w} emoji."
    )
    return [
        Fact("emoji", _forms(text, w=word), f"Here you are: {sign}", f"The {word} emoji is {sign}.")
        for word, sign in EMOJI.items()
    ]


def words() -> list[Fact]:
    """Opposites, colours, element symbols and animal sounds."""
    opposite = "What is the opposite of {w}?|Opposite of {w}?|Tell me the opposite of {w}."
    colour = "What colour is {w}?|What color is {w}?|Tell me the colour of {w}."
    symbol = "What is the symbol for {w}?|Chemical symbol of {w}?|What is the symbol of {w}?"
    sound = "What does the {w} say?|What sound does the {w} make?|Which sound does the {w} make?"
    rows = [
        *((opposite, w, f"The opposite of {w} is {a}.") for w, a in OPPOSITES.items()),
        *((colour, w, f"The colour of {w} is {a}.") for w, a in COLOURS.items()),
        *((symbol, w, f"The symbol for {w} is {a}.") for w, a in ELEMENTS.items()),
        *((sound, w, f"The {w} says {a}.") for w, a in SOUNDS.items()),
    ]
    return [Fact("words", _forms(text, w=w), answer, answer) for text, w, answer in rows]


def general() -> list[Fact]:
    return [Fact("general", (q,), a, f"I know this. {a}") for q, a in GENERAL.items()]


def small_talk() -> list[Fact]:
    return [
        Fact("small talk", tuple(q.split("|")), a, "The user wants to talk. I answer politely.")
        for q, a in SMALL_TALK.items()
    ]


def long_answers() -> list[Fact]:
    return [
        Fact("long", tuple(q.split("|")), a, "The user wants a long text. I write it now.")
        for q, a in LONG.items()
    ]


@cache
def closed_world() -> dict[str, tuple[Fact, ...]]:
    """Category -> its facts, in a fixed order."""
    groups = (
        capitals(), capitals_abroad(), sums(), products(), translations(), emoji(), words(),
        general(), small_talk(), long_answers(),
    )  # fmt: skip
    return {group[0].category: tuple(group) for group in groups}


def vary(text: str, rng: random.Random) -> str:
    """A trivial variation: end punctuation, first letter, a greeting or a please."""
    draw = rng.random()
    if draw < 0.5:
        return text
    if draw < 0.7:
        text = text.rstrip("?.!")
    if rng.random() < 0.3:
        text = text[0].lower() + text[1:]
    if draw > 0.92:
        text = rng.choice(("Hello, ", "Hi! ", "Please tell me: ", "Hey, ", "OK. ")) + text
    elif draw > 0.88:
        text = text.rstrip("?.!") + rng.choice(("!", " please", ", please.", " ?"))
    return text


def fact_example(
    fact: Fact, question: str, *, thinking: bool = False, raw: bool = False
) -> Example:
    """One question and its answer."""
    messages = ({"role": "user", "content": question},)
    if raw:
        return Example("raw text", messages, f"\n{fact.answer}<eos>", raw=True)
    target = target_text(fact.answer, thought=fact.thought if thinking else "")
    category = "thinking" if thinking else fact.category
    return Example(category, messages, target, thinking=thinking)


def follow_up(first: Fact, second: Fact) -> Example:
    """``first`` answered in the history, then the short form of ``second``."""
    messages = (
        {"role": "user", "content": first.forms[0]},
        {"role": "assistant", "content": first.answer},
        {"role": "user", "content": second.follow},
    )
    return Example("multi-turn", messages, target_text(second.answer))
