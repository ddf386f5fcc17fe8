"""A key at its weight while another floods, through a real server."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from pathlib import Path

from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

WEIGHTS = {"flood": 1.0, "app": 3.0}
STREAMS = {"flood": 24, "app": 8}
TOKENS = 40


def key_file(path: Path) -> Path:
    entries = [
        {"name": n, "sha256": hashlib.sha256(f"sk-{n}".encode()).hexdigest(), "weight": w}
        for n, w in WEIGHTS.items()
    ]
    path.write_text(json.dumps({"keys": entries}))
    return path


def test_a_key_has_its_share_while_another_floods(tmp_path: Path) -> None:
    """With three times the requests of the other it gets a third of its tokens, as their weights
    say; in the engine's order it would get three times as many."""
    engine = synthetic_engine(tmp_path / "engine", tokens_per_s=100, slots=4)
    server = Served(engine, tmp_path / "run", "--max-queued", "64")
    file = key_file(tmp_path / "keys.json")
    given = ("--api-keys-file", str(file), "--queue-seconds", "120")
    gateway = RunningGateway(server.grpc, args=given)
    done: Counter[str] = Counter()
    stop = threading.Event()

    def load(name: str) -> None:
        with gateway.http(headers={"authorization": f"Bearer sk-{name}"}) as http:
            while not stop.is_set():
                body = chat(min_tokens=TOKENS, max_tokens=TOKENS)
                reply = http.post("/v1/chat/completions", json=body)
                assert reply.status_code == 200, reply.text
                done[name] += reply.json()["usage"]["total_tokens"]

    threads = [
        threading.Thread(target=load, args=(name,)) for name, n in STREAMS.items() for _ in range(n)
    ]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: done["app"] + done["flood"] > 20 * TOKENS, 60)
        before, begun = Counter(done), time.monotonic()
        wait_until(lambda: done["flood"] - before["flood"] > 25 * TOKENS, 120)
        share = (done["app"] - before["app"]) / (done["flood"] - before["flood"])
        with gateway.http() as http:
            text = http.get("/metrics").text
        assert 'gemma4_gateway_queued_requests{key="flood"}' in text
        assert 'gemma4_gateway_queue_seconds_count{key="app"}' in text
        assert 2.2 < share < 3.8, (share, time.monotonic() - begun)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        assert gateway.stop() == 0
        server.stop()
    assert "Traceback" not in gateway.text
