"""What a user does with the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["Open", "ask", "last", "problem", "whole"]

Open = Callable[..., "Page"]
"""Opens a URL; ``width``, ``height`` and ``scheme`` say how it is shown."""


def ask(page: Page, text: str) -> None:
    """Write into the field that has the focus already, and send with the keyboard."""
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def last(page: Page) -> Locator:
    """The answer that came last."""
    return page.locator(".answer").last


def whole(page: Page, text: str) -> Locator:
    """Ask, and return the whole answer."""
    before = page.locator(".answer").count()
    ask(page, text)
    page.locator(".answer:not(.busy)").nth(before).wait_for()
    return last(page)


def problem(page: Page) -> str:
    """What the page says is wrong."""
    page.locator(".problem").wait_for()
    text: str = page.locator(".problem").inner_text()
    return text
