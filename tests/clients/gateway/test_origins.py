"""`--cors-origin` takes what browsers send as Origin, and nothing else."""

from __future__ import annotations

import pytest
from gemma4_gateway.settings import SettingsError, check_origins


def test_what_browsers_send() -> None:
    sent = ["https://app.example.com", "http://localhost:3000", "http://[::1]:8080", "null", "*",
            "chrome-extension://abcdefgh", "https://xn--bcher-kva.example"]  # fmt: skip
    assert check_origins([*sent, *sent]) == tuple(sent)
    assert check_origins(()) == ()


@pytest.mark.parametrize(
    "origin",
    ["", "app.example.com", "https://app.example.com/", "https://app.example.com/page",
     "https://App.example.com", "HTTPS://app.example.com", "https://", "https://a b", "https://u@a",
     "https://a?x", "https://a,https://b", "https://a\n"],
)  # fmt: skip
def test_what_no_browser_sends(origin: str) -> None:
    with pytest.raises(
        SettingsError, match=r"(?s)--cors-origin .*https://app\.example\.com"
    ) as caught:
        check_origins([origin])
    assert origin in str(caught.value)
