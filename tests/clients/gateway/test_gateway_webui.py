"""The chat page and /docs over HTTP: what they are made of, and what everybody else gets at `/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import gemma4_gateway
import httpx
import pytest
from gemma4_gateway.settings import KeySource
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
UI = Path(gemma4_gateway.__file__).parent / "ui"
FILES = sorted(path.name for path in UI.iterdir() if path.suffix != ".html")
SOURCES = sorted(path.name for path in UI.iterdir() if path.suffix != ".svg")
SWAGGER = ["swagger-ui-bundle.js", "swagger-ui.css"]


class Page(HTMLParser):
    """What an HTML page loads and has in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
            if (name == "src" or (tag == "link" and name == "href")) and value:
                self.loads.append(value)

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.inline.append(self._tag)


@pytest.fixture(scope="module")
def gateway() -> Iterator[InProcess]:
    """Before a server that is not there, with a key: pages need neither."""
    with gateway_before("127.0.0.1:9", keys=KeySource(plain=("secret",))) as running:
        yield running


@pytest.fixture
def http(gateway: InProcess) -> Iterator[httpx.Client]:
    with gateway.http() as client:
        yield client


def test_a_browser_gets_the_page_and_others_the_health(http: httpx.Client) -> None:
    page = http.get("/", headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Gemma 4</title>" in page.text
    assert page.headers["vary"] == "accept"
    for accept in ("*/*", "application/json"):
        other = http.get("/", headers={"accept": accept})
        health = http.get("/health/ready")
        assert (other.status_code, other.json()) == (503, health.json())
        assert other.headers["vary"] == "accept"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_runs_nothing_but_files_of_this_server(http: httpx.Client, path: str) -> None:
    page = http.get(path, headers=BROWSER)
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    parsed = Page(page.text)
    assert not parsed.inline
    assert len(parsed.loads) >= 3
    for name in parsed.loads:
        loaded = http.get(f"/{name}")
        assert loaded.status_code == 200, name
        assert loaded.headers["x-content-type-options"] == "nosniff"


def test_the_chat_page_may_not_make_html_of_text(http: httpx.Client) -> None:
    policy = http.get("/", headers=BROWSER).headers["content-security-policy"]
    assert "require-trusted-types-for 'script'" in policy and "trusted-types 'none'" in policy


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_page(http: httpx.Client, name: str) -> None:
    reply = http.get(f"/ui/{name}")
    assert reply.content == (UI / name).read_bytes()
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert reply.headers["content-type"].partition(";")[0] == kinds[Path(name).suffix]
    again = http.get(f"/ui/{name}", headers={"if-none-match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", SWAGGER)
def test_the_files_of_swagger_ui_are_here(http: httpx.Client, name: str) -> None:
    assert len(http.get(f"/docs/{name}").content) > 100_000


@pytest.mark.parametrize(
    "path",
    ["/ui/", "/ui/index.html", "/ui/docs.html", "/ui/no.js", "/ui/../app.py", "/ui/%2e%2e/app.py",
     "/ui//etc/passwd", "/docs/", "/docs/redoc.standalone.js"],
)  # fmt: skip
def test_nothing_else_is_served(http: httpx.Client, path: str) -> None:
    reply = http.get(path)
    assert reply.status_code in (401, 404), path
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/", "/docs", "/ui/chat.js", f"/docs/{SWAGGER[1]}"])
def test_head_and_other_methods(http: httpx.Client, path: str) -> None:
    got = http.get(path, headers=BROWSER)
    head = http.head(path, headers=BROWSER)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    for method in ("POST", "PUT", "DELETE"):
        refused = http.request(method, path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (405, "method_not_allowed")


def test_an_option_takes_the_page_away() -> None:
    with gateway_before("127.0.0.1:9", webui=False) as gateway, gateway.http() as http:
        assert http.get("/", headers=BROWSER).json()["status"] == "not ready"
        assert http.get("/ui/chat.js").status_code == 404
        assert http.get("/docs", headers=BROWSER).status_code == 200
        assert http.get("/ui/docs.js").status_code == 200


@pytest.mark.parametrize("name", SOURCES)
def test_no_file_names_another_host_nor_makes_html(name: str) -> None:
    text = (UI / name).read_text(encoding="utf-8")
    assert not re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", text)
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
    )
