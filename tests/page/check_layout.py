"""Both pages at each width and in each scheme: nothing sticks out, everything has a name and can be
read. ``PICTURES=FOLDER`` keeps what they look like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gemma4_testing.chat_page.samples import TOOLS
from gemma4_testing.chat_page.talk import Open, whole
from gemma4_testing.fakes.in_process_gateway import InProcess
from playwright.sync_api import Page

SIZES = [(1280, 800), (390, 844), (320, 600)]
CONTRAST = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.disabled || e.closest('noscript')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(back(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${e.tagName} ${e.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return found;
}"""
NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, a, summary')]
  .filter((e) => !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label')))
  .map((e) => e.outerHTML)"""
TOO_WIDE = """() => [...document.querySelectorAll('body, body *')]
  .filter((e) => e.checkVisibility() && !e.closest('pre, .table, .hidden-label'))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1
    || e.getBoundingClientRect().left < -1).map((e) => e.outerHTML.slice(0, 100))"""


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def check(page: Page, name: str) -> None:
    picture(page, name)
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_chat_page(
    open_page: Open, gateway: InProcess, width: int, height: int, scheme: str
) -> None:
    page = open_page(gateway.url + "/", width=width, height=height, scheme=scheme)
    page.wait_for_selector("#model:enabled")
    where = f"{width}-{scheme}"
    check(page, f"welcome-{where}")
    whole(page, "think").locator("summary").click()
    whole(page, "markdown")
    check(page, f"answer-{where}")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Tools").fill(TOOLS)
    check(page, f"settings-{where}")
    page.get_by_role("button", name="Close").click()
    whole(page, "weather")
    check(page, f"tool-{where}")
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=503, body=""))
    page.get_by_role("button", name="Send results").click()
    page.locator(".problem").wait_for()
    check(page, f"problem-{where}")


def test_everything_can_be_reached_with_the_keyboard(chat_page: Page) -> None:
    whole(chat_page, "think")
    chat_page.locator("#question").focus()
    reached = []
    for _ in range(12):
        chat_page.keyboard.press("Shift+Tab")
        reached.append(chat_page.evaluate(
            "document.activeElement.id || document.activeElement.textContent.trim()"))  # fmt: skip
    assert {
        "model",
        "new",
        "open-settings",
        "log",
        "Thoughts",
        "Copy answer",
        "Answer again",
    } <= set(reached)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES[:2])
def test_the_page_of_the_api(
    open_page: Open, gateway: InProcess, width: int, height: int, scheme: str
) -> None:
    """Swagger UI: it loads, without a word in the console, and a request can be tried."""
    page = open_page(gateway.url + "/docs", width=width, height=height, scheme=scheme)
    page.get_by_text("/v1/chat/completions").first.wait_for()
    picture(page, f"docs-{width}-{scheme}")
    page.locator("#operations-operation-software_version_get").locator("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").get_by_text('"version"').wait_for()
