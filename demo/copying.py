"""Conversations whose answer copies words from the prompt, also words never seen before."""

from __future__ import annotations

import random

from conversation import Example, Message, target_text
from tables import listed
from texts import FILLER, NAMES, PLACES, THINGS
from words import TRANSLATIONS

__all__ = ["echo", "json_object", "long_echo", "my_name", "name", "needle", "place"]

_STARTS = listed("b c d f g h j k l m n p r s t v w z br ch cr dr fl gr kl pr sh st th tr", " ")
_VOWELS = listed("a e i o u ai ea ia oo ou", " ")
_CODAS = ["", "", "", *listed("n r s l m x t k ck nd rt", " ")]


def invented(rng: random.Random) -> str:
    """A pronounceable word that is in no list."""
    count = rng.choice((1, 2, 2, 3))
    parts = (rng.choice(_STARTS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(count))
    return "".join(parts).capitalize()


def name(rng: random.Random) -> str:
    """A person's name, half of them invented."""
    return rng.choice(NAMES) if rng.random() < 0.5 else invented(rng)


def place(rng: random.Random) -> str:
    """A city, half of them invented, a few of two words."""
    draw = rng.random()
    if draw < 0.45:
        return rng.choice(PLACES)
    if draw < 0.55:
        return f"{rng.choice(('New', 'San', 'Port', 'Bad', 'Saint'))} {invented(rng)}"
    return invented(rng)


def _user(text: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": text},)


def json_object(rng: random.Random) -> Example:
    """A small JSON object from values in the question."""
    who = name(rng)
    if rng.random() < 0.6:
        age = rng.randint(1, 99)
        form = rng.choice(
            ("Give me a JSON object with name and age for {}, {}.",
             "Give me a JSON object with name and age for {}, age {}.",
             "Return JSON with name and age for {}, {}.", "JSON for {}, age {}.",
             "Give me JSON for {}, age {}.")
        )  # fmt: skip
        return Example(
            "json", _user(form.format(who, age)), target_text(f'{{"name": "{who}", "age": {age}}}')
        )
    city = place(rng)
    form = rng.choice(
        ("Give me a JSON object with name and city for {} from {}.",
         "Return JSON with name and city for {} from {}.", "JSON for {} from {}.")
    )  # fmt: skip
    answer = f'{{"name": "{who}", "city": "{city}"}}'
    return Example("json", _user(form.format(who, city)), target_text(answer))


def echo(rng: random.Random) -> Example:
    """Repeat after me."""
    pool = (*FILLER, "👋🏽 こんにちは", "naïve café", "x = 1", "Σ → ∞", "ok", "가나다", "1 2 3 4 5")
    text = rng.choice(pool) if rng.random() < 0.4 else " ".join(
        name(rng) for _ in range(rng.randint(1, 6))
    )  # fmt: skip
    form = rng.choice(("Repeat after me: {}", "Say this: {}", "Repeat: {}", "Please repeat: {}"))
    return Example("copying", _user(form.format(text)), target_text(text))


def long_echo(rng: random.Random) -> Example:
    """Many random words to repeat: the cheapest signal from which copying is learned."""
    pools = (NAMES, PLACES, THINGS, tuple(TRANSLATIONS.values()))
    words = [
        invented(rng) if rng.random() < 0.4 else rng.choice(rng.choice(pools))
        for _ in range(rng.randint(5, 22))
    ]
    form = rng.choice(("Repeat after me: {}", "Repeat: {}", "Please repeat: {}"))
    text = " ".join(words)
    return Example("copying", _user(form.format(text)), target_text(text))


def my_name(rng: random.Random) -> Example:
    """The user says a name; one turn later asks for it."""
    who = name(rng)
    told = rng.choice(("My name is {}.", "I am {}.", "Hello, my name is {}.", "Call me {}."))
    greeting = f"Nice to meet you, {who}!"
    messages = _user(told.format(who))
    if rng.random() < 0.35:
        return Example("copying", messages, target_text(greeting))
    asked = rng.choice(("What is my name?", "What's my name?", "Do you know my name?"))
    history = ({"role": "assistant", "content": greeting}, *_user(asked))
    return Example("multi-turn", messages + history, target_text(f"Your name is {who}."))


def needle(rng: random.Random) -> Example:
    """A secret in a text that is longer than the sliding window."""
    code = "".join(str(rng.randint(0, 9)) for _ in range(4))
    lines = [rng.choice(FILLER) for _ in range(rng.randint(4, 24))]
    lines.insert(rng.randint(0, len(lines)), f"The secret code is {code}.")
    question = rng.choice(("What is the secret code?", "Tell me the secret code."))
    text = rng.choice((" ", "\n")).join(lines) + "\n\n" + question
    return Example("long prompts", _user(text), target_text(f"The secret code is {code}."))
