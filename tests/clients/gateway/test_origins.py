"""`--cors-origin` takes what browsers send as Origin, and nothing else. Pages of other origins are
answered as all clients are."""

from __future__ import annotations

import pytest
from gemma4_gateway.settings import SettingsError, check_origins
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before

ORIGIN = "https://app.example.com"


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


@pytest.mark.parametrize("origins", [(), (ORIGIN,)], ids=["no origins", "origins"])
def test_every_answer_in_a_drain_says_that_its_connection_ends(origins: tuple[str, ...]) -> None:
    """A browser asks before it posts, on the connection that it then would post on."""
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    refused = asks | {"origin": "https://other.example.com"}
    plain = {"origin": ORIGIN}
    with (
        fake_backend("good") as backend,
        gateway_before(backend.address, cors_origins=origins) as gateway,
        gateway.http() as http,
    ):
        for draining, connection in ((False, []), (True, ["close"])):
            gateway.gateway.lifecycle.draining = draining
            for method, path, headers in (
                ("OPTIONS", "/v1/chat/completions", asks),
                ("OPTIONS", "/v1/chat/completions", refused),
                ("OPTIONS", "/v1/chat/completions", plain),
                ("OPTIONS", "/nowhere", asks),
                ("GET", "/v1/models", plain),
                ("GET", "/nowhere", plain),
                ("HEAD", "/health/live", plain),
            ):
                reply = http.request(method, path, headers=headers)
                found = reply.headers.get_list("connection")
                assert found == connection, (method, path, headers, reply.status_code)
