"""The URL of Redis: what is wrong with one is said at the start, without its password."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.settings import Limits, SettingsError
from gemma4_gateway.shared.redis_limits import RedisLimits
from gemma4_gateway.shared.source import read_url
from gemma4_testing.fakes.log_text import LogText

PASSWORD = "correct-horse"


@pytest.mark.parametrize(
    "text", ["", " \n", "localhost:6379", "http://x", "redis://", "redis://h:0", "redis://h:x",
             "redis://h redis://i", "redis://[::1"],
)  # fmt: skip
def test_a_file_without_a_url_is_named_and_its_text_is_not(tmp_path: Path, text: str) -> None:
    file = tmp_path / "redis"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"--limits-redis-file .*redis://HOST") as caught:
        read_url(file, "V", "")
    assert not text.strip() or text not in str(caught.value).replace("redis://HOST", "")


WRONG = {
    "redis://h/first": "names no database",
    "redis://h/0/1": "names no database",
    "redis://h/0#x": "%23",
    "redis://h/?db=x": "db: 'x' is no number",
    "redis://h/?db=-1": "db: '-1' is no number",
    "redis://h/?db=": "db: has no value",
    "redis://h/?foo=1": "has 'foo' after the [?]; it may have: .*socket_timeout",
    "redis://h/?retry=x": "has 'retry'",
    "redis://h/?max_connections=0": "has 'max_connections'",
    "redis://h/?Secret-8": "has something else after",
    "redis://h/?ssl_ca_certs=x": "'ssl_ca_certs' of rediss://",
    "rediss://h/?ssl_ca_certs=/no": "ssl_ca_certs: /no: No such file",
    "rediss://h/?ssl_keyfile=/": "ssl_keyfile: /: Is a directory",
    "rediss://h/?ssl_cert_reqs=maybe": "'maybe' is none of required, optional, none",
    "rediss://h/?ssl_check_hostname=2": "'2' is none of true, false",
    "redis://h/?socket_timeout=soon": "socket_timeout: 'soon' has to be seconds above 0, up to 60",
    "redis://h/?socket_timeout=0": "seconds above 0",
    "redis://h/?socket_timeout=-1": "seconds above 0",
    "redis://h/?socket_timeout=nan": "seconds above 0",
    "redis://h/?socket_timeout=60.1": "up to 60",
    "redis://h/?socket_timeout=1&socket_timeout=2": "socket_timeout twice",
    "unix://": "unix:///PATH",
    "unix:///run/r?ssl_certfile=x": "'ssl_certfile' of rediss://",
}
"""URLs that Redis' client would fail on later, or of which it would leave a part out."""


@pytest.mark.parametrize("url", WRONG)
def test_a_url_with_a_wrong_part_says_which(url: str) -> None:
    with pytest.raises(SettingsError, match=f"V: .*{WRONG[url]}") as caught:
        read_url(None, "V", url.replace("h/", f"u:{PASSWORD}@h/"))
    assert PASSWORD not in str(caught.value) and "Secret" not in str(caught.value)


def usable_urls(folder: Path) -> list[str]:
    file = folder / "x.pem"
    file.touch()
    return [
        "redis://h", "redis://h/", "redis://h:6380/15?socket_timeout=0.25&client_name=gateway",
        "redis://h?db=3&username=u&password=p", "unix:///run/r?db=1&socket_timeout=60",
        f"rediss://h/1?ssl_ca_certs={file}&ssl_certfile={file}&ssl_keyfile={file}"
        "&ssl_cert_reqs=none&ssl_check_hostname=false",
        "rediss://h?ssl_cert_reqs=optional&ssl_check_hostname=true",
        "rediss://h?ssl_cert_reqs=required",
    ]  # fmt: skip


def test_a_url_that_is_taken_is_one_for_the_client(tmp_path: Path) -> None:
    """It makes a connection of each, which refuses what it does not know; none is opened."""
    for url in usable_urls(tmp_path):
        assert read_url(None, "V", url) == url
        limits = RedisLimits(url, Limits(), Metrics().with_shared_limits(), LogText().log)
        pool: Any = limits._redis.connection_pool
        pool.make_connection()


def test_where_the_url_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "redis"
    file.write_text(f"rediss://:{PASSWORD}@h:6380/1\n")
    assert read_url(file, "V", "redis://i") == f"rediss://:{PASSWORD}@h:6380/1"
    assert read_url(None, "V", " redis://i ") == "redis://i"
    assert read_url(None, "V", "unix:///run/redis.sock") == "unix:///run/redis.sock"
    assert read_url(None, "V", "") is None
    with pytest.raises(SettingsError, match="V: is no URL"):
        read_url(None, "V", "nonsense")
    with pytest.raises(SettingsError, match="No such file"):
        read_url(tmp_path / "no", "V", "")
