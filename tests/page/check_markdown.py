"""Markdown of answers: what it becomes, that it stays harmless, and that it takes linear time."""

from __future__ import annotations

import random
from typing import Any

import pytest
from gemma4_testing.chat_page.samples import HOSTILE, MARKDOWN
from gemma4_testing.chat_page.talk import Open, whole
from gemma4_testing.fakes.in_process_gateway import InProcess
from playwright.sync_api import Page

TAGS = {"P", "STRONG", "EM", "DEL", "CODE", "BR", "A", "H3", "H4", "H5", "H6", "HR", "BLOCKQUOTE",
        "UL", "OL", "LI", "FIGURE", "FIGCAPTION", "SPAN", "BUTTON", "PRE", "DIV", "TABLE", "THEAD",
        "TBODY", "TR", "TH", "TD"}  # fmt: skip
ATTRIBUTES = {"class", "href", "target", "rel", "start", "type", "tabindex"}
RENDER = """async (texts) => {
  const { Markdown } = await import(new URL('ui/markdown.js', document.baseURI));
  return texts.map((text) => {
    const box = document.createElement('div');
    const began = performance.now();
    new Markdown(box).show(text);
    const all = [...box.querySelectorAll('*')];
    return {
      ms: performance.now() - began, text: box.textContent,
      tags: [...new Set(all.map((e) => e.tagName))],
      attributes: [...new Set(all.flatMap((e) => e.getAttributeNames()))],
      links: [...box.querySelectorAll('a')].map((a) => a.href),
    };
  });
}"""


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Marks and words in random order; the same ones each time."""
    marks = ["*", "**", "_", "__", "~~", "`", "```", "[", "](", ")", "![", "<", ">", "> ", "# ",
             "- ", "1. ", "  ", "    ", "\n", "\n\n", "|", "|-|", "---", "\\", "&lt;", "http://",
             "https://a.b/c", "javascript:", "<script>", "word", "x", "é", "日本", "\t", "\r\n"]  # fmt: skip
    chance = random.Random(7)
    return ["".join(chance.choices(marks, k=chance.randrange(1, 60))) for _ in range(3000)]


def rendered(page: Page, texts: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(RENDER, texts)
    return found


def test_what_models_write(chat_page: Page) -> None:
    body = whole(chat_page, "markdown").locator(".body")
    assert body.locator("h3").inner_text() == "A heading"
    paragraph = body.locator("> p").first
    assert paragraph.locator("strong").inner_text() == "bold"
    assert paragraph.locator("em").inner_text() == "italic"
    assert paragraph.locator("code").inner_text() == "code <b>"
    assert [a.get_attribute("href") for a in paragraph.locator("a").all()] == [
        "https://example.com/a_(b)", "https://example.com/x_y_z",
    ]  # fmt: skip
    assert body.locator("ol > li").count() == 2
    assert body.locator("ol > li ul > li").all_inner_texts() == ["inner a", "inner b"]
    assert body.locator("blockquote").inner_text() == "a quote\ngoes on"
    assert body.locator("tbody td").all_inner_texts() == ["a", "1", "b|c", "22"]
    assert "snake_case_names and 2 * 3 * 4" in body.locator("> p").last.inner_text()
    assert body.locator("figcaption span").inner_text() == "python"


def test_code_is_copied_as_the_model_wrote_it(chat_page: Page) -> None:
    chat_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer = whole(chat_page, "markdown")
    answer.locator("figure").get_by_role("button", name="Copy").click()
    answer.get_by_role("button", name="Copied").wait_for()
    copied = chat_page.evaluate("navigator.clipboard.readText()")
    assert copied == "def add(a, b):\n    return a + b  # <not html>"
    answer.get_by_role("button", name="Copy answer").click()
    chat_page.wait_for_function("navigator.clipboard.readText().then((t) => t.length > 200)")
    assert chat_page.evaluate("navigator.clipboard.readText()") == MARKDOWN


def test_html_and_scripts_are_text(chat_page: Page) -> None:
    body = whole(chat_page, "hostile").locator(".body")
    assert chat_page.evaluate("window.hit") is None
    assert body.locator("img, script, svg, i").count() == 0
    assert "<script>window.hit=2</script>" in body.inner_text()
    assert all(a.get_attribute("href").startswith("https:") for a in body.locator("a").all())
    assert HOSTILE.splitlines()[0] in body.inner_text()


def test_random_text_is_harmless(chat_page: Page, texts: list[str]) -> None:
    for text, found in zip(texts, rendered(chat_page, texts), strict=True):
        assert set(found["tags"]) <= TAGS, text
        assert set(found["attributes"]) <= ATTRIBUTES, text
        assert all(link.startswith(("http://", "https://", "mailto:")) for link in found["links"])
        for word in ("word", "é", "日本"):  # none is lost, but for those in a link's address
            assert found["links"] or found["text"].count(word) == text.count(word), text


def test_a_text_that_grows_looks_like_the_whole_one(chat_page: Page, texts: list[str]) -> None:
    same = chat_page.evaluate(
        """async (texts) => {
          const { Markdown } = await import(new URL('ui/markdown.js', document.baseURI));
          return texts.filter((text) => {
            const [grown, whole] = [0, 0].map(() => document.createElement('div'));
            const one = new Markdown(grown);
            for (let i = 0; i < text.length; i += 5) one.show(text.slice(0, i));
            one.show(text);
            new Markdown(whole).show(text);
            return !grown.isEqualNode(whole);
          });
        }""",
        [*texts[:500], MARKDOWN],
    )
    assert same == []


@pytest.mark.parametrize(
    "unit",
    ["*a", "**a ", "_", "`a", "[", "[a](", "![a", "> ", "- ", "1. a\n", "|a", "|-", "<", "\\",
     "# ", "~~a ", "a\n", "https://", "``` a\n", "*_~`", "  - a\n", "(", "[a](b"],
)  # fmt: skip
def test_long_text_takes_linear_time(chat_page: Page, unit: str) -> None:
    short, long = unit * (10_000 // len(unit)), unit * (80_000 // len(unit))
    first, second = (r["ms"] for r in rendered(chat_page, [short, long]))
    assert second < 8 * 4 * max(first, 5)


def test_the_page_may_not_make_html(chat_page: Page) -> None:
    page = chat_page.context.new_page()  # whose console says so
    page.goto(chat_page.url)
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return ''; } "
        "catch (error) { return error.name; } }"
    )
    assert refused == "TypeError"


def test_without_a_clipboard_it_copies_too(open_page: Open, gateway: InProcess) -> None:
    """As on a page that was loaded over plain HTTP from another machine."""
    page = open_page(gateway.url + "/")
    page.wait_for_selector("#model:enabled")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate(
        "document.addEventListener('copy', () => { window.copied = getSelection() + ''; })"
    )
    whole(page, "markdown").get_by_role("button", name="Copy answer").click()
    page.get_by_role("button", name="Copied").wait_for()
