"""The chat page in Chromium: asking, reading, stopping, tools, keyboard, settings."""

from __future__ import annotations

import re

import pytest
from gemma4_testing.chat_page.samples import TOOLS
from gemma4_testing.chat_page.talk import Open, ask, last, whole
from gemma4_testing.fakes.in_process_gateway import InProcess
from gemma4_testing.fakes.scripted_backend import ScriptedBackend
from gemma4_testing.waiting import wait_until
from playwright.sync_api import Page

STATS = r"time to first token \d+\.\d\d s · \d+\.\d tokens/s · \d+ tokens after a prompt of 3"


def test_an_answer_streams_and_says_how_fast_it_was(chat_page: Page) -> None:
    assert chat_page.evaluate("document.activeElement.id") == "question"
    answer = whole(chat_page, "hello")
    assert answer.locator(".body").inner_text() == "You said hello."
    assert re.fullmatch(STATS, answer.locator(".stats").inner_text())
    assert chat_page.locator("#status").inner_text() == "The answer is complete."
    assert chat_page.locator(".question").inner_text() == "You\n\nhello"


def test_the_model_hears_the_conversation(chat_page: Page, backend: ScriptedBackend) -> None:
    whole(chat_page, "one")
    whole(chat_page, "two")
    said = [(m["role"], m["content"]) for m in backend.heard[-1]]
    assert said == [("user", "one"), ("assistant", "You said one."), ("user", "two")]
    chat_page.get_by_role("button", name="Answer again").click()
    wait_until(lambda: backend.heard[-1] is not backend.heard[-2], 10)
    chat_page.locator(".answer:not(.busy)").nth(1).wait_for()
    assert [(m["role"], m["content"]) for m in backend.heard[-1]] == said
    chat_page.get_by_role("button", name="New chat").click()
    whole(chat_page, "three")
    assert len(backend.heard[-1]) == 1


def test_thoughts_are_folded(chat_page: Page) -> None:
    answer = whole(chat_page, "think")
    thoughts = answer.locator("details.thoughts")
    assert thoughts.get_attribute("open") is None
    assert not thoughts.get_by_text("The user asks.").is_visible()
    thoughts.locator("summary").press("Enter")
    assert thoughts.get_by_text("The user asks.").is_visible()
    assert answer.locator(".body").inner_text() == "It is 42."


@pytest.mark.parametrize("how", ["button", "key"])
def test_stop_frees_the_engine(
    chat_page: Page, backend: ScriptedBackend, gateway: InProcess, how: str
) -> None:
    left = backend.left
    ask(chat_page, "long")
    last(chat_page).get_by_text("word").wait_for()
    if how == "button":
        chat_page.get_by_role("button", name="Stop").click()
    else:
        chat_page.keyboard.press("Escape")
    wait_until(lambda: backend.left == left + 1, 5)
    assert last(chat_page).locator(".stats").inner_text().startswith("stopped · time to first")
    assert gateway.gateway.lifecycle.running == 0
    assert '"status":499' in gateway.log.getvalue()
    whole(chat_page, "next")
    roles = [m["role"] for m in backend.heard[-1]]
    assert roles == ["user", "assistant", "user"]
    assert backend.heard[-1][1]["content"].startswith("word word")


def test_a_new_chat_ends_the_answer_that_comes(chat_page: Page, backend: ScriptedBackend) -> None:
    left = backend.left
    ask(chat_page, "long")
    last(chat_page).get_by_text("word").wait_for()
    chat_page.get_by_role("button", name="New chat").click()
    wait_until(lambda: backend.left == left + 1, 5)
    assert whole(chat_page, "x").locator(".body").inner_text() == "You said x."
    assert chat_page.locator(".answer").count() == 1


def test_a_tool_call_waits_for_its_result(chat_page: Page, backend: ScriptedBackend) -> None:
    chat_page.get_by_role("button", name="Settings").click()
    chat_page.get_by_label("Tools").fill(TOOLS)
    chat_page.get_by_role("button", name="Close").click()
    answer = whole(chat_page, "weather")
    assert answer.locator(".call summary").inner_text() == "Tool call get_weather"
    assert answer.locator(".call pre").inner_text() == '{\n  "city": "Oslo"\n}'
    assert chat_page.get_by_role("button", name="Send", exact=True).is_disabled()
    result = answer.get_by_label("Result of get_weather")
    assert chat_page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    result.fill("sunny")
    answer.get_by_role("button", name="Send results").click()
    chat_page.locator(".answer:not(.busy)").nth(1).wait_for()
    assert last(chat_page).locator(".body").inner_text() == "It is sunny in Oslo."
    assert [m["role"] for m in backend.heard[-1]] == ["user", "assistant", "tool"]
    assert backend.heard[-1][2]["tool_call_id"] == backend.heard[-1][1]["tool_calls"][0]["id"]
    whole(chat_page, "thanks")


def test_settings_are_sent_and_stay(
    open_page: Open, gateway: InProcess, backend: ScriptedBackend
) -> None:
    page = open_page(gateway.url + "/")
    page.wait_for_selector("#model:enabled")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Max tokens").fill("64")
    page.get_by_label("Think before the answer").check()
    page.keyboard.press("Escape")
    assert not page.locator("#settings").is_visible()
    page.reload()
    page.wait_for_selector("#model:enabled")
    with page.expect_request("**/v1/chat/completions") as sent:
        whole(page, "hi")
    body = sent.value.post_data_json
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "temperature": 0.5, "max_tokens": 64, "reasoning_effort": "medium",
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("label", "value", "says"),
    [
        ("Temperature", "-1", "Temperature: "),
        ("Max tokens", "0.5", "Max tokens: "),
        ("Tools", '{"a": 1}', "Tools: must be a JSON list"),
        ("Tools", "[", "Tools: "),
    ],
)
def test_a_setting_that_is_wrong_is_named_before_anything_is_sent(
    chat_page: Page, backend: ScriptedBackend, label: str, value: str, says: str
) -> None:
    chat_page.get_by_role("button", name="Settings").click()
    chat_page.get_by_label(label).fill(value)
    chat_page.get_by_role("button", name="Close").click()
    heard = len(backend.heard)
    ask(chat_page, "hello")
    chat_page.locator("#settings").wait_for()
    assert chat_page.locator("#status").inner_text().startswith(says)
    assert chat_page.get_by_label("Your message").input_value() == "hello"
    assert len(backend.heard) == heard


def test_a_new_line_is_not_sent(chat_page: Page, backend: ScriptedBackend) -> None:
    chat_page.keyboard.type("a")
    chat_page.keyboard.press("Shift+Enter")
    chat_page.keyboard.type("b")
    chat_page.keyboard.press("Enter")
    chat_page.locator(".answer:not(.busy)").wait_for()
    assert backend.heard[-1][0]["content"] == "a\nb"
    assert chat_page.locator(".answer .body").inner_text() == "You said a\nb."


def test_reading_above_is_not_disturbed(chat_page: Page) -> None:
    for _ in range(4):
        whole(chat_page, "markdown")
    log = chat_page.locator("#log")
    assert log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight < 80")
    ask(chat_page, "long")
    last(chat_page).get_by_text("word").wait_for()
    log.evaluate("e => { e.scrollTop = 0; }")
    chat_page.wait_for_timeout(500)
    assert log.evaluate("e => e.scrollTop") == 0
    chat_page.keyboard.press("Escape")
