"""What goes wrong is said in words, with the way out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemma4_gateway.settings import KeySource
from gemma4_testing.chat_page.talk import Open, ask, last, problem, whole
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before
from gemma4_testing.fakes.scripted_backend import ScriptedBackend
from gemma4_testing.servers.running_gateway import RunningGateway
from playwright.sync_api import Page, Route


def test_a_key_is_asked_for_when_the_server_wants_one(
    open_page: Open, backend: ScriptedBackend
) -> None:
    with gateway_before(backend.address, keys=KeySource(plain=("secret",))) as gateway:
        page = open_page(gateway.url + "/")
        assert problem(page).startswith("This server asks for an API key")
        key = page.get_by_label("API key")
        assert page.evaluate("document.activeElement.id") == "key"
        key.fill("wrong")
        key.press("Tab")
        page.get_by_text("This API key is not known here").wait_for()
        key.fill("secret")
        key.press("Tab")
        page.wait_for_selector("#model:enabled")
        page.locator(".problem").wait_for(state="detached")
        page.get_by_role("button", name="Close").click()
        assert whole(page, "hi").locator(".body").inner_text() == "You said hi."
        page.reload()
        page.wait_for_selector("#model:enabled")
        other = page.context.new_page()  # another tab does not have it
        other.goto(gateway.url + "/")
        assert problem(other).startswith("This server asks for an API key")


def test_no_field_for_a_key_where_none_is_asked_for(chat_page: Page) -> None:
    chat_page.get_by_role("button", name="Settings").click()
    assert not chat_page.get_by_label("API key").is_visible()


def error(message: str, code: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "type": "t", "param": None, "code": code}})


REFUSALS: list[tuple[int, str, dict[str, str], list[str]]] = [
    (429, error("every back end is full", "overloaded"), {"retry-after": "7"},
     ["has too much to do", "every back end is full.", "Try again in 7 seconds."]),
    (429, error("x", "gateway_full"), {}, ["Try again in a moment."]),
    (503, error("no back end is ready (a: b)", "unavailable"), {"x-request-id": "req_1"},
     ["The server is not ready", "no back end is ready (a: b).", "req_1"]),
    (503, error("x", "draining"), {}, ["The server is about to stop"]),
    (400, error("prompt of 9 tokens", "context_length_exceeded"), {},
     ["too long for this model", "Start a new chat"]),
    (400, error("tools[0].type: must be 'function'"), {},
     ["refused the request", "tools[0].type: must be 'function'."]),
    (500, error("the engine failed"), {"x-request-id": "req_2"},
     ["The server failed", "the engine failed.", "req_2", "tell who runs the server"]),
    (504, error("600 s are over"), {}, ["took too long"]),
    (502, "<html>Bad Gateway</html>", {}, ["The proxy before the server"]),
    (418, "", {}, ["The server failed"]),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "headers", "says"), REFUSALS)
def test_a_refusal(
    chat_page: Page, status: int, body: str, headers: dict[str, str], says: list[str]
) -> None:
    answers: list[Any] = [{"status": status, "body": body, "headers": headers}]

    def reply(route: Route) -> None:
        if answers:
            route.fulfill(**answers.pop())
        else:
            route.continue_()

    chat_page.route("**/v1/chat/completions", reply)
    ask(chat_page, "hello")
    said = problem(chat_page)
    for text in says:
        assert text in said
    assert chat_page.locator(".problem").get_attribute("role") == "alert"
    chat_page.get_by_role("button", name="Try again").click()
    chat_page.locator(".answer:not(.busy)").wait_for()
    assert last(chat_page).locator(".body").inner_text() == "You said hello."
    assert chat_page.locator(".problem").count() == 0


STREAM = {"status": 200, "content_type": "text/event-stream"}
CHUNK = 'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\n'


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (CHUNK, "The connection was lost"),
        (CHUNK + "data: {", "The connection was lost"),
        (": queued\n\n" + CHUNK + "data: nonsense\n\n", "The connection was lost"),
        (CHUNK + "data: " + error("the engine died") + "\n\n", "the engine died."),
    ],
)
def test_an_answer_that_breaks_off(chat_page: Page, body: str, says: str) -> None:
    chat_page.route("**/v1/chat/completions", lambda route: route.fulfill(**STREAM, body=body))
    ask(chat_page, "hello")
    assert says in problem(chat_page)
    assert last(chat_page).locator(".body").inner_text() == "half"
    assert last(chat_page).locator(".stats").inner_text().startswith("broken off")


def test_a_gateway_that_dies(open_page: Open, backend: ScriptedBackend) -> None:
    gateway = RunningGateway(int(backend.address.rpartition(":")[2]))
    try:
        page = open_page(gateway.url + "/")
        page.wait_for_selector("#model:enabled")
        ask(page, "long")
        last(page).get_by_text("word").wait_for()
        gateway.process.kill()
        assert problem(page).startswith("The connection was lost")
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("No connection to the server").wait_for()
        assert "Check that the server runs" in problem(page)
    finally:
        gateway.process.kill()


def test_a_server_that_is_not_ready_yet(open_page: Open) -> None:
    with gateway_before("127.0.0.1:9") as gateway:
        page = open_page(gateway.url + "/")
        page.route("**/v1/models", lambda route: route.fulfill(
            status=503, body=error("no back end is ready", "unavailable")))  # fmt: skip
        page.reload()
        assert problem(page).startswith("The server is not ready")
        page.unroute("**/v1/models")
        page.wait_for_selector("#model:enabled")
        assert page.locator(".problem").count() == 0


def test_a_model_that_is_gone(chat_page: Page, gateway: InProcess) -> None:
    chat_page.evaluate("document.getElementById('model').options[0].text = 'old'")
    chat_page.evaluate("document.getElementById('model').options[0].value = 'old'")
    ask(chat_page, "hello")
    assert "This model is no longer served" in problem(chat_page)
    assert "there is no 'old'; there is m." in problem(chat_page)
    chat_page.wait_for_function("document.getElementById('model').value === 'm'")
    chat_page.get_by_role("button", name="Try again").click()
    chat_page.locator(".answer:not(.busy)").wait_for()
