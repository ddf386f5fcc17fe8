"""What a browser shows: the chat page at `/`, and the API at `/docs`. All files come from here, so
that both work without the internet. No API key is asked for: the pages hold nothing."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from gemma4_runtime.needs import install_extra
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gemma4_gateway.errors import not_found
from gemma4_gateway.routes.health import NOT_READY, ready
from gemma4_gateway.routes.wiring import TheGateway

__all__ = ["add_pages", "router"]

_UI = Path(__file__).parents[1] / "ui"
_DOCS_FILES = ("docs.js", "icon.svg")
_SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
_ONLY_OURS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
_CHAT_POLICY = (
    _ONLY_OURS + "img-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_DOCS_POLICY = _ONLY_OURS + "img-src 'self' data:"
"""Swagger UI's icons are data: URLs."""
_HEADERS = {
    "cache-control": "no-cache",  # a browser asks whether it has changed
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

router = APIRouter(tags=["operation"])


class _Files(StaticFiles):
    """The files of a folder that are named."""

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        super().__init__(directory=folder)
        self._names = frozenset(names)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path not in self._names:
            text = f"{scope['path']}: there is no such path; see /docs"
            raise not_found(text, code="unknown_url")
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def _swagger_ui() -> Path | None:
    """Return the folder of Swagger UI's files, which the package fastapi-offline brings."""
    spec = find_spec("fastapi_offline")
    return Path(spec.origin).parent / "static" if spec is not None and spec.origin else None


def add_pages(app: FastAPI, *, webui: bool) -> None:
    """Add both pages and their files, or the API's only."""
    app.include_router(router)
    names = {path.name for path in _UI.iterdir() if path.suffix != ".html"}
    app.mount("/ui", _Files(_UI, names if webui else _DOCS_FILES))
    if (folder := _swagger_ui()) is not None:
        app.mount("/docs", _Files(folder, _SWAGGER_FILES))


def _page(name: str, policy: str) -> Response:
    headers = _HEADERS | {"content-security-policy": policy, "vary": "accept"}
    return FileResponse(_UI / name, headers=headers, media_type="text/html")


_CHAT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The chat page for browsers (`Accept: text/html`), else /health/ready.",
        "content": {"text/html": {}, "application/json": {}},
    }
}


@router.get("/", responses=_CHAT | NOT_READY)
async def root(request: Request, gateway: TheGateway) -> Response:
    """Answer browsers with the chat page, and everybody else as `/health/ready` does."""
    if gateway.settings.webui and "text/html" in request.headers.get("accept", ""):
        return _page("index.html", _CHAT_POLICY)
    response = await ready(gateway)
    response.headers["vary"] = "accept"
    return response


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Show the API in Swagger UI."""
    if _swagger_ui() is None:
        raise not_found(
            "/docs: fastapi-offline, which has its files, is not installed; "
            f"{install_extra('gateway')}, or see /openapi.json",
            code="docs_not_installed",
        )
    return _page("docs.html", _DOCS_POLICY)
