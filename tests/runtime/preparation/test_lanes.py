"""Who is prepared at once, who waits, and for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemma4_runtime.preparation.lanes import Lane, Lanes, lane_of

USER = {"role": "user", "content": "What is 7 + 8?"}
WEATHER = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}  # fmt: skip


def chat(*messages: dict[str, str], **others: Any) -> dict[str, str]:
    return {"messages": json.dumps(messages), **others}


@pytest.mark.parametrize(
    ("values", "lane"),
    [
        ({"text_input": "Hi"}, Lane.AT_ONCE),
        (chat(USER), Lane.AT_ONCE),
        (chat(*[USER] * 20, tools=json.dumps([WEATHER] * 20)), Lane.AT_ONCE),
        (chat(USER, guided_decoding_guide_type="json"), Lane.AT_ONCE),
        (chat(USER, guided_decoding_guide_type="regex", guided_decoding_guide="a"), Lane.SHORT),
        (chat(*[USER] * 70), Lane.SHORT),
        ({"text_input": "a" * 20_000}, Lane.SHORT),
        ({"text_input": "a" * 200_000}, Lane.LONG),
        (chat(*[{"role": "user", "content": "a"}] * 1023), Lane.LONG),
        (chat(USER, tools="[" + "{}," * 9000 + "{}]"), Lane.LONG),
        ({"text_input": "a", "bad_words": ["a"] * 200}, Lane.SHORT),
        (chat(USER, guided_decoding_guide_type="grammar", guided_decoding_guide="a" * 20_000), Lane.LONG),
    ],
    ids=lambda case: str(case)[:50],
)  # fmt: skip
def test_the_lane_is_chosen_by_size(values: dict[str, Any], lane: Lane) -> None:
    assert lane_of(values, guide_known=False, most_messages=64) is lane


def test_references_count_as_what_they_may_come_to() -> None:
    def lane(refs: int, ref: str = '"$ref"') -> Lane:
        return lane_of(chat(USER, tools="{" * 100 + ref * refs), guide_known=False, most_messages=9)

    assert [lane(refs) for refs in (0, 9, 10, 13, 14)] == [
        Lane.AT_ONCE, Lane.AT_ONCE, Lane.SHORT, Lane.SHORT, Lane.LONG
    ]  # fmt: skip
    for spelled in (r'"\u0024ref"', r'"$\u0072ef"', r'"$r\u0065f"', r'"$re\u0066"'):
        assert json.loads(spelled) == "$ref"
        assert lane(10, spelled) is Lane.SHORT


def test_a_known_guide_is_no_reason_to_wait() -> None:
    values = chat(USER, guided_decoding_guide_type="regex", guided_decoding_guide="a")
    assert lane_of(values, guide_known=True, most_messages=64) is Lane.AT_ONCE


def test_a_slow_template_renders_in_children() -> None:
    assert lane_of(chat(USER, USER), guide_known=False, most_messages=1) is Lane.SHORT


def lanes(**more: Any) -> Lanes:
    return Lanes(places={Lane.SHORT: 1, Lane.LONG: 1}, **({"most_waiting": 3} | more))


def test_long_ones_never_take_the_place_of_short_ones() -> None:
    waiting = lanes()
    for number in (1, 2, 3):
        assert waiting.add(number, Lane.LONG)
    assert waiting.start() == [1]
    assert waiting.add(4, Lane.SHORT)
    assert waiting.start() == [4]
    waiting.remove(1)
    assert waiting.start() == [2]


def test_short_ones_use_a_free_place_of_long_ones() -> None:
    waiting = lanes()
    for number in (1, 2, 3):
        waiting.add(number, Lane.SHORT)
    assert waiting.start() == [1, 2]
    waiting.add(4, Lane.LONG)
    waiting.remove(2)
    assert waiting.start() == [4]  # not 3: somebody wants that place
    waiting.remove(1)
    assert waiting.start() == [3]


def test_a_full_lane_refuses_and_the_other_does_not() -> None:
    waiting = lanes()
    assert [waiting.add(number, Lane.LONG) for number in range(4)] == [True, True, True, False]
    assert waiting.add(9, Lane.SHORT)


def test_one_that_leaves_the_queue_never_runs() -> None:
    waiting = lanes()
    waiting.add(1, Lane.LONG)
    waiting.add(2, Lane.LONG)
    waiting.remove(1)
    assert waiting.start() == [2]
