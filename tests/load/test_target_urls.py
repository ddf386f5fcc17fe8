"""URLs of servers that a load goes to: what is wrong with one is said before anything is sent."""

from __future__ import annotations

import pytest
from gemma4_load.errors import OptionError
from gemma4_load.targets import connect


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h:99999/v1", "Port out of range"),
        ("http://h:x/v1", "Port could not be cast"),
        ("http://h:0/v1", "port 0 is no server's"),
        ("http://h/v1?api-version=1", "without [?] or #"),
        ("http://h/v1#x", "without [?] or #"),
        ("http://:8000/v1", "must be a host and a port"),
        ("http:///v1", "an OpenAI server is http://host:port/v1"),
        ("h:8000/v1", "an OpenAI server is http://host:port/v1"),
        ("ftp://h/v1", "an OpenAI server is http://host:port/v1"),
        ("http://h:8000?x", "without [?] or #"),
        ("h:x", "Port could not be cast"),
        ("ftp://h", "use host:port"),
    ],
)
def test_wrong_urls(url: str, says: str) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        connect(url, timeout=1)
    assert str(caught.value).startswith(f"--url {url}: ")
