"""The quality gate of a real server: sound weights pass, damaged ones fail and take no request."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gemma4_build.manifest import file_entries, write_manifest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_client import Gemma4Error, UnavailableError
from gemma4_runtime.errors import Code
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.server.board import Field
from gemma4_runtime.server.gate.gate import QUIET_S, START_S
from gemma4_testing.damage import find_in_memory, matrices, overwritten
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.servers.scrape import settled, value
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until

FIRST_RUN_S = 90
OFTEN = ("--quality-gate-interval", "2")
MINUTELY = ("--quality-gate-interval", "50")


def gate_metrics(server: Served) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=5) as reply:
        lines = reply.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("gemma4_quality_gate") or line.startswith("gemma4_generation_tokens"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def metric(server: Served, name: str) -> float | None:
    return gate_metrics(server).get(f"gemma4_quality_gate_{name}")


def event(server: Served, name: str) -> dict[str, object] | None:
    for line in server.output:
        if f'"{name}"' in line:
            return dict(json.loads(line[line.index("{") :]))
    return None


def health(server: Served, name: str) -> tuple[int, dict[str, str | None]]:
    url = f"http://127.0.0.1:{server.banner_port('health')}/health/{name}"
    reply = httpx.get(url, timeout=5, trust_env=False)
    return reply.status_code, reply.json()


def why_not_ready(gateway: RunningGateway) -> str:
    with gateway.http() as http:
        return " ".join(e["reason"] or "" for e in http.get("/health/ready").json()["backends"])


def ready_backends(gateway: RunningGateway) -> int:
    with gateway.http() as http:
        return sum(each["ready"] for each in http.get("/health/ready").json()["backends"])


def damage(model: Path, share: float = 0.5) -> None:
    """Overwrite weights of a GGUF file in place: llama.cpp has its pages mapped, so that the
    running engine computes with what is written."""
    size = model.stat().st_size
    with model.open("r+b") as file:
        for place in range(int(size * (1 - share)), size - 4096, 8192):
            file.seek(place)
            file.write(b"\x00" * 4096)


def test_sound_weights_pass_and_nobody_counts_it(engines: Path, tmp_path: Path) -> None:
    served = Served(engines / "f32", tmp_path / "run", "--log-format", "json")
    try:
        wait_until(lambda: metric(served, "ok") is not None, FIRST_RUN_S)
        counted = settled(served)
        found = gate_metrics(served)
        assert found["gemma4_quality_gate_ok"] == found["gemma4_quality_gate_agreement"] == 1
        assert found['gemma4_quality_gate_runs_total{result="passed"}'] >= 1
        # The supervisor's own request at the start may count; the gate's 96 tokens do not.
        assert value(counted, "gemma4_generation_tokens_total") <= 1
        assert not [line for line in served.output if '"quality-gate' in line]
        passed = event(served, "quality_gate_passed")
        assert passed is not None and passed["positions"] == 96
    finally:
        assert served.stop() == 0


def test_damaged_weights_fail_and_the_gateway_goes_elsewhere(
    engines: Path, server: Served, tmp_path: Path
) -> None:
    """``server`` is the healthy one."""
    shutil.copytree(engines / "f32", tmp_path / "engine")
    args = ("--log-format", "json", "--quality-gate", "enforce", *OFTEN)
    served = Served(tmp_path / "engine", tmp_path / "run", *args)
    gateway = RunningGateway(served.grpc, server.grpc)
    try:
        assert metric(served, "ok") in (None, 1.0)
        with served.client() as client:
            assert client.chat(user("Hello"), temperature=0.0, max_tokens=4).result().ids
            damage(tmp_path / "engine" / "model.gguf")
            wait_until(lambda: metric(served, "ok") == 0, FIRST_RUN_S)
            with pytest.raises(UnavailableError) as refused:
                client.chat(user("Hello"), max_tokens=4, timeout=20.0).result()
            assert refused.value.code == Code.QUALITY_GATE_FAILED and refused.value.refused
            assert client.models_ready() and not client.ready()
            assert client.server_info().refusal == Code.QUALITY_GATE_FAILED
        failed = event(served, "quality_gate_failed")
        assert failed is not None
        assert failed["takes_requests"] is False and float(str(failed["agreement"])) < 1
        wait_until(lambda: ready_backends(gateway) == 1, 20)
        assert "does not give its recorded answers" in why_not_ready(gateway)
        with gateway.http() as http:
            for _ in range(4):
                assert http.post("/v1/chat/completions", json=chat(max_tokens=4)).is_success
        with (tmp_path / "engine" / "model.gguf").open("r+b") as file:
            file.write((engines / "f32" / "model.gguf").read_bytes())
        wait_until(lambda: metric(served, "ok") == 1, FIRST_RUN_S)
        wait_until(lambda: ready_backends(gateway) == 2, 20)
        with served.client() as client:
            assert client.ready() and not client.server_info().refusal
    finally:
        gateway.stop()
        served.stop()


def test_a_swapped_file_with_right_sums_fails_at_the_start(engines: Path, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(engines / "f32", folder)
    damage(folder / "model.gguf")
    manifest = read_manifest(folder)
    files = manifest.files | file_entries(folder, ("model.gguf",))
    write_manifest(folder, manifest.model_copy(update={"files": files}))
    served = Served(folder, tmp_path / "run", "--quality-gate", "enforce")
    try:
        with served.client() as client, pytest.raises(Gemma4Error) as refused:
            client.chat(user("Hello"), max_tokens=4, timeout=20.0).result()
        assert refused.value.code == Code.QUALITY_GATE_FAILED
    finally:
        served.stop()


@pytest.fixture(scope="module")
def int4(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """An engine whose matrices llama.cpp copies into memory of its own, in another order."""
    folder = tmp_path_factory.mktemp("int4") / "engine"
    build_engine(
        BuildRequest(checkpoint=checkpoint, out=folder, precision="int4", slots=2), SilentReporter()
    )
    return folder


def test_one_row_of_one_matrix_changed_in_memory(int4: Path, tmp_path: Path) -> None:
    """Seen within a minute at an interval of 50 s, which the gate has by itself on a machine that is
    not so busy that a prompt takes it 40 ms."""
    model = int4 / "model.gguf"
    matrix = matrices(model)["blk.2.ffn_gate_up_exps.weight"]
    args = ("--log-format", "json", "--quality-gate", "enforce", "--health-port", "0", *MINUTELY)
    served = Served(int4, tmp_path / "run", *args)
    try:
        assert metric(served, "ok") == 1
        engine = served.board()[Field.ENGINE_PID]
        address = find_in_memory(engine, model, matrix)
        with overwritten(engine, address, bytes(matrix.row)):
            wait_until(lambda: metric(served, "ok") == 0, 60)
            with served.client() as client, pytest.raises(UnavailableError) as refused:
                client.chat(user("Hello"), max_tokens=4, timeout=20.0).result()
            assert refused.value.code == Code.QUALITY_GATE_FAILED
            code, body = health(served, "ready")
            assert (code, body["status"], body["gate"]) == (503, "not ready", "failed")
            assert "quality gate failed" in str(body["reason"])
            assert health(served, "live")[0] == 200
        failed = event(served, "quality_gate_failed")
        assert failed is not None
        assert failed["cause"] == "other probabilities of the same tokens than at the start"
        assert float(str(failed["log_prob_change"])) > 0.001
        assert "restart" in str(failed["advice"])
        change = metric(served, "log_prob_change_nats")
        assert change is not None and change > 0.001
        wait_until(lambda: metric(served, "ok") == 1, 60)
        assert health(served, "ready") == (200, {"status": "ready", "reason": None, "gate": None})
        with served.client() as client:
            assert client.chat(user("Hello"), max_tokens=4).result().ids
    finally:
        served.stop()


def test_runs_leave_the_prompts_of_users_alone(engines: Path, tmp_path: Path) -> None:
    """One slot, which the gate takes between two turns of a conversation."""
    args = ("--slots", "1", *OFTEN)
    served = Served(engines / "f32", tmp_path / "run", *args)
    try:
        with served.client() as client:
            turns = user("Tell me a story about a fox. " * 40)
            first = client.chat(turns, temperature=0.0, max_tokens=8).result()
            ran = metric(served, 'runs_total{result="passed"}') or 0
            wait_until(
                lambda: (metric(served, 'runs_total{result="passed"}') or 0) > ran + 1,
                FIRST_RUN_S,
            )
            before = settled(served)
            turns += [{"role": "assistant", "content": first.text}, *user("Go on.")]
            client.chat(turns, temperature=0.0, max_tokens=1).result()
        after = settled(served)
        hits, asked = (
            value(after, name) - value(before, name)
            for name in ("gemma4_prefix_cache_hits_total", "gemma4_prefix_cache_queries_total")
        )
        assert hits / asked > 0.8
    finally:
        served.stop()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Served]:
    """One slot at 20 tokens/s, and a gate that runs in every pause."""
    folder = synthetic_engine(tmp_path / "engine", tokens_per_s=20.0, slots=1)
    served = Served(folder, tmp_path / "run", "--quality-gate-interval", "0.1")
    yield served
    served.stop()


def test_users_do_not_wait_for_it(slow: Served) -> None:
    """An answer of the gate would hold the slot for 0.8 s."""
    waits = []
    time.sleep(START_S)
    with slow.client() as client:
        for _ in range(5):
            time.sleep(QUIET_S + 0.6)
            answer = client.chat(user("Hello"), max_tokens=1).result()
            waits.append(answer.timings["queue"])
    assert max(waits) < 0.5
