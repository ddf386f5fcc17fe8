"""locust with our users against real servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from gemma4_testing.servers.load_runs import level, load, url
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

LOCUSTFILE = Path(__file__).parents[2] / "load_tests" / "locustfile.py"


def locust(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
    return subprocess.run([*command, *args], capture_output=True, text=True, timeout=90)


def median_of(text: str, label: str) -> float:
    """The p50 column of our table."""
    return float(re.search(label + r"\D+\d+ +[\d.,]+ +([\d.,]+)", text)[1].replace(",", ""))  # type: ignore[index]


@pytest.mark.parametrize(
    ("user", "protocol"),
    [("GrpcUser", "grpc"), ("HttpStreamUser", "http"), ("OpenAIUser", "openai")],
)
def test_locust_agrees_with_gemma4_load(
    paced: tuple[Served, RunningGateway], tmp_path: Path, user: str, protocol: str
) -> None:
    """They run one after the other, so another load of the machine may part one pair of runs: then
    the median of three pairs decides. The server needs 0.5 s for its first token, so that the few
    milliseconds that a busy machine takes from a client are a small part of it."""
    target = url(paced, protocol)
    found = [medians_of_both(target, user, tmp_path / "0")]
    if not agree(found):
        found += [medians_of_both(target, user, tmp_path / str(n)) for n in (1, 2)]
    assert agree(found), found


def agree(found: list[dict[str, tuple[float, float]]]) -> bool:
    ratios = [median(ms[name][0] / ms[name][1] for ms in found) for name in ("ttft", "itl")]
    return ratios == pytest.approx([1, 1], rel=0.1)


def medians_of_both(target: str, user: str, out: Path) -> dict[str, tuple[float, float]]:
    """Return what locust and `gemma4 load` say, in ms."""
    lengths = ("--prompt-tokens", "500", "--output-tokens", "25")
    theirs = locust(user, "--host", target, "-u", "4", "-r", "50", "-t", "6s", *lengths)
    assert theirs.returncode == 0, theirs.stderr
    ours = load(
        "--url", target, "--concurrency", "4", "--duration", "5", "--warmup", "1",
        *lengths, "--out", str(out), "--max-client-lag", "500",
    )  # fmt: skip
    assert ours.returncode == 0, ours.stderr
    found = level(out)["requests"]
    labels = {"ttft": "time to first token", "itl": "inter-token latency"}
    return {
        metric: (median_of(theirs.stdout, label), found[metric]["p50"] * 1000)
        for metric, label in labels.items()
    }


def test_locusts_warmup_does_not_count(
    paced: tuple[Served, RunningGateway], tmp_path: Path
) -> None:
    """Six seconds of nine: at 0.3 s a request, what two users were answered in the other three. locust
    counts the two requests that were under way too; our table leaves them out. The last answer of a
    user comes before the end by less than an answer takes."""
    ran = locust(
        "OpenAIUser", "--host", url(paced, "openai"), "-u", "2", "-r", "2", "-t", "9s", "--warmup",
        "6", "--prompt-tokens", "50", "--output-tokens", "12", "--json-file", str(tmp_path / "a"),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    entry = json.loads((tmp_path / "a.json").read_text())[0]
    longest = entry["max_response_time"] / 1000
    assert 2.5 - longest < entry["last_request_timestamp"] - entry["start_time"] < 3.1
    assert 0 < entry["num_requests"] <= 2 * 3 / 0.29
    counted = int(re.search(r"end-to-end latency\D+(\d+)", ran.stdout)[1])  # type: ignore[index]
    assert counted == entry["num_requests"] - 2


def test_locust_in_several_processes(paced: tuple[Served, RunningGateway]) -> None:
    """The master shows what its workers saw after the warm-up: 4 users, 4 s, at least 0.25 s for an
    answer. With the warm-up they would be more than 100."""
    ran = locust(
        "GrpcUser", "--host", url(paced, "grpc"), "-u", "4", "-r", "50", "-t", "7s", "--warmup", "3",
        "--processes", "2", "--output-tokens", "10",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    counts = [int(n) for n in re.findall(r"end-to-end latency\D+(\d+)", ran.stdout)]
    assert 20 < max(counts) <= 4 * 4 / 0.25 + 8, ran.stdout
    tables = [line for line in ran.stdout.splitlines() if line.startswith("inter-token")]
    assert any(line.split()[3:4] and float(line.split()[3]) > 20 for line in tables), ran.stdout


def test_locusts_page_has_our_metrics(paced: tuple[Served, RunningGateway]) -> None:
    import httpx

    process = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "GrpcUser", "--host",
         url(paced, "grpc"), "-u", "2", "-r", "2", "-t", "30s", "--autostart", "--web-port",
         "18089", "--web-host", "127.0.0.1", "--output-tokens", "5"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    rows: list[dict[str, Any]] = []

    def shown() -> bool:
        try:
            body = httpx.get("http://127.0.0.1:18089/stats/requests", timeout=5).json()
        except httpx.HTTPError:
            time.sleep(0.1)
            return False
        rows[:] = body["extended_stats"][0]["data"]
        return bool(rows)

    try:
        wait_until(shown, 30)
        assert rows[0]["metric"] == "time to first token, ms"
        assert float(rows[0]["p50"]) > 20
        assert "Streaming latency" in httpx.get("http://127.0.0.1:18089/").text
    finally:
        process.terminate()
        process.wait(20)


def test_locust_says_which_option_is_wrong(paced: tuple[Served, RunningGateway]) -> None:
    ran = locust(
        "GrpcUser", "--host", url(paced, "grpc"), "-u", "1", "-t", "5s", "--prompt-tokens", "many"
    )
    assert ran.returncode != 0
    assert "--prompt-tokens many: not a number" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_locust_says_when_the_warmup_is_impossible(paced: tuple[Served, RunningGateway]) -> None:
    at = ("GrpcUser", "--host", url(paced, "grpc"), "-u", "1")
    for value in ("-1", "nan"):
        ran = locust(*at, "-t", "5s", "--warmup", value)
        assert ran.returncode != 0
        assert f"--warmup {float(value)}: must be 0 or more seconds" in ran.stderr
        assert "Traceback" not in ran.stderr
    ran = locust(*at, "-t", "4s", "--warmup", "60")
    assert ran.returncode != 0
    assert "ended within its warm-up of 60 s" in ran.stderr


def test_locust_says_when_the_server_is_not_there() -> None:
    ran = locust("GrpcUser", "--host", "127.0.0.1:9", "-u", "1", "-t", "5s")
    assert ran.returncode != 0
    assert "Connection refused" in ran.stderr
