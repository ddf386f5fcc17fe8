"""`gemma4 load` against real servers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from gemma4_load.report.files import read_report, read_requests
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.load_runs import PACE_S, PREFILL_S, level, load, url
from gemma4_testing.servers.process_tree import kill_tree
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until


@pytest.mark.parametrize("protocol", ["grpc", "http", "openai"])
def test_the_meter_reads_the_engines_pace(
    paced: tuple[Served, RunningGateway], tmp_path: Path, protocol: str
) -> None:
    ran = load(
        "--url", url(paced, protocol), "--concurrency", "4", "--requests", "24", "--warmup", "0",
        "--prompt-tokens", "100", "--output-tokens", "25", "--out", str(tmp_path / "a"),
        "--max-client-lag", "500",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found = level(tmp_path / "a")["requests"]
    assert found["itl"]["p50"] == pytest.approx(PACE_S, rel=0.02, abs=0.001)
    prompt = found["prompt_tokens"]["p50"]
    assert prompt == pytest.approx(100, rel=0.05)
    bare = prompt * PREFILL_S + PACE_S
    assert bare - 0.001 < found["ttft"]["p50"] < bare + 0.03
    assert found["output_tokens"]["min"] == found["output_tokens"]["max"] == 25
    assert "time to first token" in ran.stdout
    assert len(read_requests(tmp_path / "a")) == 24


def test_an_open_loop_counts_from_the_plan(
    paced: tuple[Served, RunningGateway], tmp_path: Path
) -> None:
    ran = load(
        "--url", url(paced, "grpc"), "--rate", "20", "--arrival", "constant", "--duration", "3",
        "--warmup", "1", "--output-tokens", "10", "--slo", "ttft=1s", "--out", str(tmp_path / "a"),
        "--max-client-lag", "500", "--metrics-url", f"http://127.0.0.1:{metrics_port(paced[0])}/metrics",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    rows = [float(row["scheduled"]) for row in read_requests(tmp_path / "a")]
    assert sorted(rows) == pytest.approx([0.05 * i for i in range(1, 80)])
    found = level(tmp_path / "a")
    assert found["run"]["attainment"] == 1.0
    assert found["run"]["request_throughput"] == pytest.approx(20, rel=0.1)
    assert any(name.startswith("nv_inference_count") for name in found["server"]["counters"])


def test_a_server_that_falls_behind_ends_an_open_loop(
    paced: tuple[Served, RunningGateway], tmp_path: Path
) -> None:
    ran = load(
        "--url", url(paced, "grpc"), "--rate", "40", "--arrival", "constant", "--duration", "5",
        "--max-in-flight", "3", "--warmup", "0", "--out", str(tmp_path / "a"),
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    assert "verdict: NOT VALID, 1 of 1 levels" in ran.stderr
    assert "stopped: the server fell behind: 3 requests in flight; lower the rate" in ran.stdout
    assert level(tmp_path / "a")["counts"]["whole"] == 3


def metrics_port(served: Served) -> int:
    return (
        served.banner_port("metrics") if "metrics" in served.text else served.banner_port("Metrics")
    )


def test_workloads_of_the_demo_model(server: Served, tmp_path: Path) -> None:
    at = f"127.0.0.1:{server.grpc}"
    common = ("--url", at, "--concurrency", "2", "--warmup", "0", "--max-client-lag", "2000")
    lengths = ("--prompt-tokens", "20", "--output-tokens", "12", "--system-tokens", "30")
    for kind, reason, more in (
        ("tools", "tool_calls", ()), ("structured", "", ()), ("chat", "", lengths),
    ):  # fmt: skip
        out = tmp_path / kind
        ran = load(*common, "--workload", kind, "--requests", "8", *more, "--out", str(out))
        assert ran.returncode == 0, ran.stderr + ran.stdout
        rows = read_requests(out)
        assert {row["status"] for row in rows} == {"OK"}
        assert not reason or reason in {row["finish_reason"] for row in rows}


@pytest.mark.parametrize("protocol", ["grpc", "http", "openai"])
def test_clients_that_leave(
    paced: tuple[Served, RunningGateway], tmp_path: Path, protocol: str
) -> None:
    out = tmp_path / "a"
    ran = load(
        "--url", url(paced, protocol), "--concurrency", "4", "--requests", "16", "--warmup", "0",
        "--cancel-share", "0.5", "--output-tokens", "30", "--out", str(out),
        "--max-client-lag", "500",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    counts = level(out)["counts"]
    assert counts["failed"] == 0
    assert 2 <= counts["left"] <= 14
    assert counts["left"] + counts["whole"] == 16
    wait_until(paced[0].idle, 2)


def test_a_trace_is_replayed_at_its_times(
    paced: tuple[Served, RunningGateway], tmp_path: Path
) -> None:
    lines = [
        {"timestamp": 500 + at, "input_length": 60, "output_length": 4, "hash_ids": [1]}
        for at in (0, 100, 100, 700)
    ]
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    ran = load(
        "--url", url(paced, "grpc"), "--trace", str(path), "--trace-speed", "2", "--out",
        str(tmp_path / "a"), "--max-client-lag", "500",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    rows = sorted(float(row["scheduled"]) for row in read_requests(tmp_path / "a"))
    assert rows == pytest.approx([0, 0.05, 0.05, 0.35])


def test_the_highest_load_that_meets_the_slos(tmp_path: Path) -> None:
    """Four slots: a fifth user waits for an answer of 0.3 s, so TTFT within 200 ms allows 4."""
    synthetic_engine(tmp_path / "engine", tokens_per_s=50, slots=4)
    served = Served(tmp_path / "engine", tmp_path / "run")
    ran = load(
        "--url", f"127.0.0.1:{served.grpc}", "--search", "concurrency", "--search-to", "16",
        "--slo", "ttft=200ms", "--attainment", "0.9", "--duration", "2", "--warmup", "1",
        "--output-tokens", "15", "--out", str(tmp_path / "a"), "--max-client-lag", "500",
        "--search-from", "4", "--search-runs", "2",
    )  # fmt: skip
    served.stop()
    assert ran.returncode == 0, ran.stderr
    report = read_report(tmp_path / "a")
    assert report["search"]["highest"] == 4.0
    labels = [level["label"] for level in report["levels"]]
    assert labels[:3] == ["concurrency 4", "concurrency 4, run 2", "concurrency 8"]
    assert "highest concurrency that meets the SLOs: 4" in ran.stdout


def test_compare_passes_and_fails_by_its_exit_code(
    paced: tuple[Served, RunningGateway], tmp_path: Path
) -> None:
    outs = [tmp_path / name for name in "abc"]
    for out, prompt in zip(outs, ("60", "60", "160"), strict=True):
        ran = load(
            "--url", url(paced, "grpc"), "--concurrency", "4", "--requests", "40", "--warmup", "0",
            "--prompt-tokens", prompt, "--output-tokens", "10", "--out", str(out),
            "--max-client-lag", "500",
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
    same = load("compare", str(outs[0]), str(outs[1]), "--threshold", "25")
    assert same.returncode == 0, same.stdout
    unlike = load("compare", str(outs[0]), str(outs[2]), "--threshold", "25")
    assert unlike.returncode == 2
    assert "prompt is 60 in A and 160 in B" in unlike.stderr
    slower = load("compare", str(outs[0]), str(outs[2]), "--threshold", "25", "--any-workload")
    assert slower.returncode == 1, slower.stdout
    assert "worse" in slower.stdout


def test_a_server_that_dies_ends_the_run_and_keeps_the_results(
    engines: Path, tmp_path: Path
) -> None:
    served = Served(engines / "synthetic", tmp_path / "run")
    out = tmp_path / "a"
    process = subprocess.Popen(
        [GEMMA4, "load", "--url", f"127.0.0.1:{served.grpc}", "--concurrency", "8", "--duration",
         "60", "--output-tokens", "20", "--warmup", "0", "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: (out / "requests.csv").exists() and len(read_requests(out)) > 20, 20)
    kill_tree(served.process.pid)
    printed, errors = process.communicate(timeout=30)
    assert process.returncode == 3, errors
    assert re.search(r"stopped: the server stopped answering at [\d.]+ s", printed)
    assert "UNAVAILABLE" in printed
    report = read_report(out)
    assert not report["complete"]
    assert report["levels"][0]["counts"]["whole"] > 10
    page = (out / "report.html").read_text()
    assert "The run was stopped in its first level: the server stopped answering" in page
    assert "<svg" in page and len(page.encode()) < 300_000


def test_ctrl_c_keeps_the_results(paced: tuple[Served, RunningGateway], tmp_path: Path) -> None:
    out = tmp_path / "a"
    process = subprocess.Popen(
        [GEMMA4, "load", "--url", url(paced, "grpc"), "--concurrency", "4", "--duration", "60",
         "--output-tokens", "10", "--warmup", "0", "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: (out / "requests.csv").exists() and len(read_requests(out)) > 10, 20)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "interrupted" in printed
    assert level(out)["counts"]["failed"] == 0


def test_a_full_disk(paced: tuple[Served, RunningGateway], tmp_path: Path) -> None:
    """The size of files is limited to 4 KiB, so requests.csv cannot grow on."""
    out = tmp_path / "a"
    ran = load(
        "--url", url(paced, "grpc"), "--concurrency", "8", "--duration", "20", "--warmup", "0",
        "--output-tokens", "4", "--prompt-tokens", "20", "--out", str(out), limit="4",
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout
    kept = re.search(
        r"cannot write .*requests.csv: File too large; (\d+) requests are kept", ran.stderr
    )
    assert kept, ran.stderr
    assert len((out / "requests.csv").read_text().splitlines()) >= int(kept[1])


BAD = {
    "idle cancels": (["--trace", "t", "--cancel-share", "0.5"], 2, "--cancel-share 0.5: is for"),
    "idle warm-up": (["--trace", "t", "--warmup", "3"], 2, "--warmup 3.0: is for a run without"),
    "idle arrival": (["--arrival", "constant"], 2, "--arrival constant: is for --rate"),
    "idle burstiness": (["--rate", "1", "--burstiness", "2"], 2, "is for --arrival gamma only"),
    "idle bound": (["--max-in-flight", "3"], 2, "--max-in-flight 3: is for --rate or --trace"),
    "idle search": (["--attainment", "0.9"], 2, "--attainment 0.9: is for --search only"),
    "idle runs": (["--search-runs", "3"], 2, "--search-runs 3: is for --search only"),
    "idle speed": (["--trace-speed", "2"], 2, "--trace-speed 2.0: is for --trace only"),
    "idle length": (
        ["--workload", "tools", "--output-tokens", "9"],
        2,
        "--output-tokens 9: is for",
    ),
    "idle turns": (["--turns", "2"], 2, "--turns 2: is for --workload chat only"),
    "ramp of requests": (["--rate", "1:5", "--requests", "9"], 2, "a ramp has its --duration"),
    "unreachable": (["--url", "127.0.0.1:9"], 1, "Connection refused"),
    "unreachable gateway": (["--url", "http://127.0.0.1:9/v1"], 1, "Cannot connect"),
    "no such url": (["--url", "ftp://x"], 2, "--url ftp://x"),
    "model": (["--model", "x"], 2, "--model x: only an OpenAI server"),
    "two loads": (["--rate", "1", "--concurrency", "2"], 2, "do not go together"),
    "two ends": (["--requests", "1", "--duration", "2"], 2, "do not go together"),
    "impossible rate": (["--rate", "1e9"], 2, "at most 100000"),
    "no rate": (["--rate", "0"], 2, "more than 0"),
    "search without slo": (["--search", "rate"], 2, "needs at least one --slo"),
    "search of what": (["--search", "memory", "--slo", "ttft=1"], 2, "use concurrency or rate"),
    "slo": (["--slo", "speed=3"], 2, "--slo speed=3"),
    "length": (["--prompt-tokens", "many"], 2, "--prompt-tokens many"),
    "trace": (["--trace", "/nonexistent"], 2, "--trace /nonexistent"),
    "workload": (["--workload", "poems"], 2, "--workload poems"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(paced: tuple[Served, RunningGateway], tmp_path: Path, name: str) -> None:
    args, code, said = BAD[name]
    at = () if "--url" in args else ("--url", url(paced, "grpc"))
    ran = load(*at, *args, "--out", str(tmp_path / "a"))
    assert ran.returncode == code, ran.stderr
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "a" / "report.json").exists()


def test_a_model_that_the_gateway_does_not_have(
    paced: tuple[Served, RunningGateway], tmp_path: Path
) -> None:
    ran = load("--url", url(paced, "openai"), "--model", "gpt", "--out", str(tmp_path / "a"))
    assert (ran.returncode, "model 'gpt' is not there" in ran.stderr) == (1, True), ran.stderr
