"""A request that ends Triton 2.51 itself: streams hear of it, and the supervisor starts it again."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from threading import Thread

import pytest
from gemma4_client import Gemma4Error
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.fuzz.send import HANG_S
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until

RESTART_S = 60
TEXT = {"name": "text_input", "shape": [1, 1], "datatype": "BYTES", "data": ["x"]}
CRASHES = {
    "classification of a BYTES output": {
        "inputs": [TEXT | {"name": "text"}],
        "outputs": [{"name": "text", "parameters": {"classification": 1}}],
    },
    "HTTP shape of 2^31 elements or more": {
        "inputs": [{"name": "token_ids", "shape": [1, 2**40], "datatype": "INT32", "data": [2]}]
    },
}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("victim")
    synthetic_engine(folder / "engine", tokens_per_s=20.0, slots=8)
    served = Served(folder / "engine", folder / "run", "--restarts", "10")
    yield served
    served.stop()


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_of_triton_is_recovered_from(victim: Served, name: str) -> None:
    started = victim.text.count("Ctrl-C stops")
    heard: list[str] = []
    with victim.client() as client:
        streams = [client.chat(user("Count"), max_tokens=1000, min_tokens=1000) for _ in range(4)]
        for stream in streams:
            stream.iterator = iter(stream)
            next(stream.iterator)

        def read(stream: bool) -> None:
            try:
                list(stream.iterator)
            except Gemma4Error as error:
                heard.append(str(error))

        readers = [Thread(target=read, args=(stream,)) for stream in streams]
        for reader in readers:
            reader.start()
        connection = http.client.HTTPConnection("127.0.0.1", victim.http, timeout=HANG_S)
        body = json.dumps(CRASHES[name])
        connection.request("POST", "/v2/models/gemma4_tokenizer/infer", body)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
        for reader in readers:
            reader.join(HANG_S)
        assert len(heard) == len(streams), heard
    victim.wait_for("Ctrl-C stops", times=started + 1)
    wait_until(victim.ready, RESTART_S)
    wait_until(victim.idle, 5)
    with victim.client() as client:
        assert client.chat(user("x"), max_tokens=3).result().completion_tokens == 3
