"""Chromium, and a gateway whose back end says what a test wants."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from gemma4_testing.chat_page.samples import answer
from gemma4_testing.chat_page.talk import Open
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before
from gemma4_testing.fakes.scripted_backend import ScriptedBackend, scripted_backend

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # Not at the top: `make test` reads this file too, and has no playwright.
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program is not None, "no chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="session")
def backend() -> Iterator[ScriptedBackend]:
    with scripted_backend(answer, pause=0.01) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(backend: ScriptedBackend) -> Iterator[InProcess]:
    with gateway_before(backend.address) as running:
        yield running


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open a URL in a fresh profile. Whatever the page says in the console, or loads from another
    host, fails the test: a breach of its policy is said there too."""
    contexts = []
    said: list[str] = []
    hosts: list[str] = []

    def opened(url: str, *, width: int = 1280, height: int = 800, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: said.append(m.text) if not _of_http(m.text) else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda r: hosts.append(r.url))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not said
    assert all(url.startswith(("http://127.0.0.1:", "data:image")) for url in hosts), hosts


def _of_http(text: str) -> bool:
    """Chromium's own lines for answers that are errors and for connections that break."""
    return text.startswith("Failed to load resource")


@pytest.fixture
def chat_page(open_page: Open, gateway: InProcess) -> Page:
    """The page, with a model to talk to."""
    page = open_page(gateway.url + "/")
    page.wait_for_selector("#model:enabled")
    return page
