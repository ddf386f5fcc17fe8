"""Tool conversations: the call, and the answer from the tool's response."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conversation import Example, Message, call_text, target_text
from copying import name, place
from tables import listed

__all__ = ["tool_answer", "tool_call"]

Arguments = dict[str, object]
CONDITIONS = ("sunny", "cloudy", "rainy", "windy", "snowy", "foggy")
PHRASES = listed(
    "I will be late|See you tomorrow|Happy birthday|The meeting is at noon|Dinner is ready|"
    "Please call me|I am at home|Good luck|The train is late|Thank you for the book"
)
TOPICS = listed(
    "chess|jazz music|solar power|pasta recipes|train tickets|cheap hotels|space news|"
    "football results|garden flowers|old maps"
)


def _parameter(kind: str, meaning: str) -> dict[str, str]:
    return {"type": kind, "description": meaning}


def _declare(tool: str, meaning: str, **parameters: dict[str, str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    function = {"name": tool, "description": meaning, "parameters": schema}
    return {"type": "function", "function": function}


@dataclass(frozen=True)
class _Use:
    """One concrete use of a tool: what is asked, called, returned and answered."""

    declaration: dict[str, Any]
    question: str
    arguments: Arguments
    response: dict[str, object]
    answer: str
    thought: str

    @property
    def tool(self) -> str:
        return str(self.declaration["function"]["name"])


def _weather(rng: random.Random) -> _Use:
    city, degrees, sky = place(rng), rng.randint(-9, 39), rng.choice(CONDITIONS)
    key = rng.choice(("city", "city", "location"))
    meaning = rng.choice(
        ("Get the current weather of a city", "Current weather for a city", "Get the weather")
    )
    question = rng.choice(
        ("What is the weather in {}?", "What's the weather in {}?", "How is the weather in {}?",
         "Weather in {}", "What is the weather like in {}?", "Tell me the weather in {}.")
    )  # fmt: skip
    about = rng.choice(("Name of the city", "City name", "The city"))
    return _Use(
        _declare("get_weather", meaning, **{key: _parameter("string", about)}),
        question.format(city),
        {key: city},
        {"condition": sky, "temperature": degrees},
        f"It is {sky} in {city} and the temperature is {degrees} degrees.",
        f"The user wants the weather in {city}. I call get_weather.",
    )


def _time(rng: random.Random) -> _Use:
    city, clock = place(rng), f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
    question = rng.choice(("What time is it in {}?", "Tell me the time in {}.", "Time in {}?"))
    meaning = rng.choice(("Local time of a city", "Get the current time in a city"))
    return _Use(
        _declare("get_time", meaning, city=_parameter("string", "Name of the city")),
        question.format(city),
        {"city": city},
        {"time": clock},
        f"It is {clock} in {city}.",
        f"The user wants the time in {city}. I call get_time.",
    )


def _message(rng: random.Random) -> _Use:
    person, phrase = name(rng), rng.choice(PHRASES)
    question = rng.choice(("Send a message to {}: {}", "Write to {}: {}", "Tell {}: {}"))
    return _Use(
        _declare(
            "send_message",
            rng.choice(("Send a message to a person", "Send a text message")),
            text=_parameter("string", "Text of the message"),
            to=_parameter("string", "Name of the person"),
        ),
        question.format(person, phrase),
        {"to": person, "text": phrase},
        {"status": "sent"},
        f"I have sent your message to {person}.",
        f"The user wants to write to {person}. I call send_message.",
    )


def _timer(rng: random.Random) -> _Use:
    minutes = rng.randint(1, 90)
    question = rng.choice(
        ("Set a timer for {} minutes.", "Start a timer for {} minutes.", "Timer: {} minutes")
    )
    return _Use(
        _declare("set_timer", "Start a timer", minutes=_parameter("integer", "Minutes")),
        question.format(minutes),
        {"minutes": minutes},
        {"status": "started"},
        f"Your timer for {minutes} minutes is running.",
        f"The user wants a timer for {minutes} minutes. I call set_timer.",
    )


def _search(rng: random.Random) -> _Use:
    topic = rng.choice(TOPICS) if rng.random() < 0.6 else name(rng)
    question = rng.choice(("Search for {}.", "Search the web for {}.", "Find {} on the web."))
    found = f"{rng.randint(2, 99)} pages"
    return _Use(
        _declare("search_web", "Search the web", query=_parameter("string", "What to look for")),
        question.format(topic),
        {"query": topic},
        {"result": found},
        f"I found {found} about {topic}.",
        f"The user wants to search for {topic}. I call search_web.",
    )


_MAKERS: tuple[Callable[[random.Random], _Use], ...] = (_weather, _time, _message, _timer, _search)


def _pick(rng: random.Random) -> Callable[[random.Random], _Use]:
    return rng.choices(_MAKERS, weights=(5, 2, 2, 2, 2))[0]


def _offered(use: _Use, rng: random.Random) -> tuple[dict[str, Any], ...]:
    """The tool's declaration among up to two others, in random order."""
    others = [maker(rng) for maker in rng.sample(_MAKERS, rng.choice((0, 0, 1, 2)))]
    offered = [use.declaration, *(o.declaration for o in others if o.tool != use.tool)]
    rng.shuffle(offered)
    return tuple(offered)


def _two_cities(rng: random.Random) -> tuple[_Use, str, str]:
    """Weather in two cities: the first use, the question and both calls."""
    first = _weather(rng)
    key, city = next(iter(first.arguments.items()))
    other = place(rng)
    calls = call_text(first.tool, {key: city}) + call_text(first.tool, {key: other})
    return first, f"What is the weather in {city} and {other}?", calls


def tool_call(rng: random.Random) -> Example:
    """A question that one of the offered tools answers; sometimes two parallel calls."""
    use = _pick(rng)(rng)
    question, calls = use.question, call_text(use.tool, use.arguments)
    if rng.random() < 0.12:
        use, question, calls = _two_cities(rng)
    thinking = rng.random() < 0.2
    target = target_text("", thought=use.thought if thinking else "", calls=calls)
    messages: tuple[Message, ...] = ({"role": "user", "content": question},)
    return Example("tool calls", messages, target, _offered(use, rng), thinking)


def _response(use: _Use, rng: random.Random) -> object:
    """The tool's result: an object, JSON text or plain text."""
    draw = rng.random()
    if draw < 0.4:
        return use.response
    if draw < 0.7:
        return json.dumps(use.response)
    return ", ".join(str(value) for value in use.response.values())


def tool_answer(rng: random.Random) -> Example:
    """The call is in the history and its response follows; the model says the result."""
    use = _pick(rng)(rng)
    call = {
        "id": f"call_{rng.randint(1, 9)}",
        "type": "function",
        "function": {"name": use.tool, "arguments": use.arguments},
    }
    thinking = rng.random() < 0.15
    assistant: Message = {"role": "assistant", "content": "", "tool_calls": [call]}
    if thinking:
        assistant["reasoning_content"] = use.thought
    messages = (
        {"role": "user", "content": use.question},
        assistant,
        {"role": "tool", "tool_call_id": call["id"], "content": _response(use, rng)},
    )
    offered = _offered(use, rng)
    return Example("tool answers", messages, target_text(use.answer), offered, thinking)
