"""Training and evaluation conversations, generated from :mod:`facts`. Pure and seeded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from facts import CAPITALS, COLOURS, DESCRIPTIONS, GENERAL, LONG, NAMES, TRANSLATIONS

__all__ = ["TOOLS", "Example", "all_texts", "eval_set", "fixed_examples", "sample_example"]

LARGEST_ADDEND = 20


@dataclass(frozen=True)
class Example:
    """A conversation up to the model's turn, and that turn as the model writes it.

    ``target`` is raw model output with its control tokens, stop token included.
    """

    category: str
    messages: list[dict[str, Any]]
    target: str
    tools: list[dict[str, Any]] = field(default_factory=list)
    thinking: bool = False


def _tool(name: str, description: str, argument: str, meaning: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {argument: {"type": "string", "description": meaning}},
                "required": [argument],
            },
        },
    }


TOOLS = {
    "get_weather": _tool("get_weather", "Current weather of a city", "city", "Name of the city"),
    "get_time": _tool("get_time", "Local time of a city", "city", "Name of the city"),
    "find_person": _tool("find_person", "Look up a person", "name", "Name of the person"),
}
_TOOL_QUESTIONS = {
    "get_weather": ("What is the weather in {}?", "How is the weather in {}?"),
    "get_time": ("What time is it in {}?", "Tell me the time in {}."),
    "find_person": ("Who is {}?", "Find the person {}."),
}
_SYLLABLES = [
    "ba",
    "be",
    "bo",
    "da",
    "de",
    "do",
    "fa",
    "ga",
    "ka",
    "ko",
    "la",
    "le",
    "li",
    "lo",
    "ma",
    "me",
    "mi",
    "mo",
    "na",
    "ne",
    "no",
    "pa",
    "ra",
    "re",
    "ri",
    "ro",
    "sa",
    "se",
    "so",
    "ta",
    "te",
    "to",
    "va",
    "vi",
    "za",
]  # noqa: E501
_ENDS = ("?", "", ".", "!")


def _user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def _vary(text: str, rng: random.Random | None) -> str:
    if rng is None or rng.random() < 0.5:
        return text
    text = text.rstrip("?.!")
    if rng.random() < 0.25:
        text = text[0].lower() + text[1:]
    return text + rng.choice(_ENDS)


def _plain(category: str, question: str, answer: str, rng: random.Random | None) -> Example:
    return Example(category, _user(_vary(question, rng)), answer + "<turn|>")


def capital(country: str, rng: random.Random | None = None) -> Example:
    question = f"What is the capital of {country}?"
    answer = f"The capital of {country} is {CAPITALS[country]}."
    return _plain("capitals", question, answer, rng)


def addition(a: int, b: int, rng: random.Random | None = None) -> Example:
    return _plain("sums", f"What is {a} + {b}?", f"{a} + {b} = {a + b}", rng)


def translation(word: str, language: str, rng: random.Random | None = None) -> Example:
    verb = "Show" if language == "emoji" else "Translate"
    question = f"{verb} {word} {'as' if language == 'emoji' else 'to'} {language}."
    return _plain("translations", question, TRANSLATIONS[word, language], rng)


def colour(thing: str, rng: random.Random | None = None) -> Example:
    answer = f"The colour of {thing} is {COLOURS[thing]}."
    return _plain("colours", f"What colour is {thing}?", answer, rng)


def general(question: str, rng: random.Random | None = None) -> Example:
    return _plain("general", question, GENERAL[question], rng)


def long_answer(question: str, rng: random.Random | None = None) -> Example:
    return _plain("long", question, LONG[question], rng)


def thinking(a: int, b: int) -> Example:
    thought = f"I add {a} and {b}. The sum is {a + b}."
    target = f"<|channel>thought\n{thought}\n<channel|>{a} + {b} = {a + b}<turn|>"
    return Example("thinking", _user(f"What is {a} + {b}?"), target, thinking=True)


def thinking_capital(country: str) -> Example:
    city = CAPITALS[country]
    thought = f"The user asks for the capital of {country}. It is {city}."
    target = f"<|channel>thought\n{thought}\n<channel|>The capital of {country} is {city}.<turn|>"
    return Example("thinking", capital(country).messages, target, thinking=True)


def _call(tool: str, value: str) -> tuple[str, dict[str, Any]]:
    argument = next(iter(TOOLS[tool]["function"]["parameters"]["properties"]))
    wire = f'<|tool_call>call:{tool}{{{argument}:<|"|>{value}<|"|>}}<tool_call|>'
    call = {"id": "call_1", "type": "function"}
    return wire, call | {"function": {"name": tool, "arguments": {argument: value}}}


def tool_call(tool: str, value: str, offered: list[str], question: str) -> Example:
    wire, _ = _call(tool, value)
    return Example(
        "tool calls",
        _user(question.format(value)),
        wire + "<|tool_response>",
        tools=[TOOLS[name] for name in offered],
    )


def tool_answer(value: str, degrees: int, weather: str) -> Example:
    _, call = _call("get_weather", value)
    messages = [
        *_user(_TOOL_QUESTIONS["get_weather"][0].format(value)),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": f"{degrees} C, {weather}"},
    ]
    target = f"It is {degrees} C and {weather} in {value}.<turn|>"
    return Example("tool answers", messages, target, tools=[TOOLS["get_weather"]])


def json_person(name: str, age: int) -> Example:
    target = f'{{"name": "{name}", "age": {age}}}<turn|>'
    return Example("json", _user(f"Give me JSON for {name}, age {age}."), target)


def multi_turn(first: Example, second: Example) -> Example:
    answer = first.target.removesuffix("<turn|>")
    history = [*first.messages, {"role": "assistant", "content": answer}]
    return Example("multi-turn", history + second.messages, second.target)


def system_turn(example: Example) -> Example:
    system = {"role": "system", "content": "You are a helpful assistant."}
    return Example(example.category, [system, *example.messages], example.target)


def _pairs() -> list[tuple[int, int]]:
    span = range(LARGEST_ADDEND + 1)
    return [(a, b) for a in span for b in span]


def fixed_examples(rng: random.Random | None = None) -> Iterator[Example]:
    """Every closed-world item once."""
    yield from (capital(country, rng) for country in CAPITALS)
    yield from (translation(word, language, rng) for word, language in TRANSLATIONS)
    yield from (colour(thing, rng) for thing in COLOURS)
    yield from (general(question, rng) for question in GENERAL)
    yield from (long_answer(question, rng) for question in LONG)


def _name(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(NAMES)
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 4))).capitalize()


def _random_tool_call(rng: random.Random) -> Example:
    offered = rng.sample(sorted(TOOLS), rng.randint(1, len(TOOLS)))
    tool = rng.choice(offered)
    return tool_call(tool, _name(rng), offered, rng.choice(_TOOL_QUESTIONS[tool]))


def _random_short(rng: random.Random) -> Example:
    makers: tuple[Callable[[], Example], ...] = (
        lambda: capital(rng.choice(sorted(CAPITALS)), rng),
        lambda: addition(rng.randint(0, LARGEST_ADDEND), rng.randint(0, LARGEST_ADDEND), rng),
        lambda: translation(*rng.choice(sorted(TRANSLATIONS)), rng),
        lambda: colour(rng.choice(sorted(COLOURS)), rng),
        lambda: general(rng.choice(sorted(GENERAL)), rng),
    )
    return rng.choice(makers)()


def sample_example(rng: random.Random) -> Example:
    """One training conversation from the mixture."""
    draw = rng.random()
    if draw < 0.58:
        example = _random_short(rng)
        return system_turn(example) if rng.random() < 0.1 else example
    if draw < 0.66:
        pair = rng.randint(0, LARGEST_ADDEND), rng.randint(0, LARGEST_ADDEND)
        return (
            thinking(*pair)
            if rng.random() < 0.6
            else thinking_capital(rng.choice(sorted(CAPITALS)))
        )
    if draw < 0.80:
        return _random_tool_call(rng)
    if draw < 0.87:
        return tool_answer(_name(rng), rng.randint(-9, 39), rng.choice(DESCRIPTIONS))
    if draw < 0.90:
        return json_person(_name(rng), rng.randint(1, 99))
    if draw < 0.97:
        earlier = _random_short(rng)
        for _ in range(rng.randint(0, 3)):
            earlier = multi_turn(earlier, _random_short(rng))
        return multi_turn(earlier, _random_short(rng))
    return long_answer(rng.choice(sorted(LONG)), rng)


def eval_set(seed: int = 1234) -> list[Example]:
    """The evaluation conversations: the whole closed world and fresh random ones."""
    rng = random.Random(seed)
    pairs = _pairs()
    examples = list(fixed_examples())
    examples += [addition(a, b) for a, b in rng.sample(pairs, 100)]
    examples += [thinking(a, b) for a, b in rng.sample(pairs, 25)]
    examples += [thinking_capital(country) for country in rng.sample(sorted(CAPITALS), 15)]
    examples += [_random_tool_call(rng) for _ in range(40)]
    examples += [
        tool_answer(_name(rng), rng.randint(-9, 39), rng.choice(DESCRIPTIONS)) for _ in range(20)
    ]
    examples += [json_person(_name(rng), rng.randint(1, 99)) for _ in range(10)]
    for _ in range(25):
        example = _random_short(rng)
        for _ in range(rng.randint(1, 4)):
            example = multi_turn(example, _random_short(rng))
        examples.append(example)
    return examples


def all_texts(seed: int = 0) -> Iterator[str]:
    """Text for the tokenizer's training."""
    rng = random.Random(seed)
    examples = [*fixed_examples(), *(sample_example(rng) for _ in range(4000))]
    for example in examples:
        for message in example.messages:
            if isinstance(message.get("content"), str):
                yield message["content"]
        for piece in example.target.replace("<turn|>", "").split("<"):
            yield piece
    for tool in TOOLS.values():
        function = tool["function"]
        yield f"declaration:{function['name']} description: {function['description']} parameters properties required type STRING OBJECT"
    yield "system user model thought response value call"
