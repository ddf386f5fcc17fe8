"""``gemma4 plan simulate``: its figures, and an answer that says what would work."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from gemma4_cli.main import app
from gemma4_plan.catalog import read_catalog
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.fleet.steps import END, RooflineSteps
from gemma4_plan.gpu_memory import Split
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile, read_steps
from gemma4_plan.simulate.steps import StepTimes
from gemma4_plan.speed.copy_pace import CopyPace
from gemma4_plan.speed.fitted import read_fitted
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

H200 = ("--gpu", "h200", "--rate", "3", "--seconds", "120")
STEPS = {
    "measured": "made up", "decode": [[1, 0.01], [8, 0.02]], "prefill": [[1, 0.01], [512, 0.06]],
    "launch_s": 0.008, "context_s": 1e-8, "seen_s": 1e-9, "slots": 8, "step_tokens": 512,
    "overhead_s": 0.004,
}  # fmt: skip


def run(*words: str) -> tuple[int, str, str]:
    ran = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["plan", "simulate", *words])
    return ran.exit_code, ran.stdout, ran.stderr


def in_json(*words: str) -> dict[str, Any]:
    code, out, error = run(*words, "--json")
    assert code in (0, 1), error
    found: dict[str, Any] = json.loads(out)["result"]
    return found


def test_a_table_says_what_holds_and_what_is_full() -> None:
    code, out, _ = run(*H200, "--ttft-ms", "500", "--itl-ms", "60")
    assert code == 0
    for words in ("TTFT, ms", "ITL, ms", "slow", "SLOs: 100.00%", "fullest at the busiest time",
                  "GPU-hours: 0.0333", "s for 10⁶ requests"):  # fmt: skip
        assert words in out


def test_both_ends_of_the_estimate_are_simulated() -> None:
    found = in_json(*H200)
    assert set(found) == {"middle", "slow"}
    assert found["slow"]["itl"]["p50"] > 1.2 * found["middle"]["itl"]["p50"]
    assert in_json(*H200, "--cautious")["middle"] is None


def test_slos_that_do_not_hold_end_with_1() -> None:
    code, out, _ = run(
        "--gpu", "h200", "--rate", "60", "--seconds", "60", "--ttft-ms", "100", "--itl-ms", "12",
        "--slots", "64",
    )  # fmt: skip
    assert code == 1
    assert "too few (95% are wanted)" in out


def test_measured_steps_and_a_closed_loop(tmp_path: Path) -> None:
    path = tmp_path / "steps.json"
    path.write_text(json.dumps(STEPS))
    found = in_json(
        "--steps", str(path), "--users", "8", "--seconds", "300", "--warmup", "30",
        "--prompt-tokens", "16", "--output-tokens", "200",
    )["middle"]  # fmt: skip
    assert found["itl"]["p50"] == pytest.approx(0.02, rel=0.05)
    assert found["output_throughput"] == pytest.approx(8 / 0.02, rel=0.05)


def trace_file(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "trace.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_trace_is_that_of_the_load_tool(tmp_path: Path) -> None:
    lines = [
        {"timestamp": 100.0 * n, "input_length": 600, "output_length": 20, "hash_ids": [0, n]}
        for n in range(50)
    ]
    path = trace_file(tmp_path, *lines)
    once = in_json("--gpu", "h200", "--trace", str(path))["middle"]
    assert once["arrived"] == once["completed"] == 50
    assert once["output_tokens"] == 1000
    repeated = in_json("--gpu", "h200", "--trace", str(path), "--seconds", "50")["middle"]
    assert repeated["arrived"] == pytest.approx(500, abs=1)
    cached = in_json("--gpu", "h200", "--trace", str(path), "--prefix-cache", "100000")["middle"]
    assert cached["cached_tokens"] > 40 * 512


BAD = {
    "no load": (("--gpu", "h200"), "give one of --rate, --users and --trace"),
    "two loads": ((*H200, "--users", "3"), "give one of --rate, --users and --trace"),
    "no engine": (("--rate", "2"), "give --gpu, such as --gpu h200, or --steps FILE"),
    "unknown GPU": (("--gpu", "h900", "--rate", "2"), "h900"),
    "CPU": (("--gpu", "cpu", "--rate", "2"), "give --steps FILE"),
    "negative rate": (("--gpu", "h200", "--rate", "-2"), "--rate -2: must be from 0.001 to 1000000"),
    "no rate": (("--gpu", "h200", "--rate", "0"), "--rate 0: must be from 0.001"),
    "rate nan": (("--gpu", "h200", "--rate", "nan"), "--rate nan: must be "),
    "peak below 1": (("--gpu", "h200", "--rate", "2", "--peak", "0.5"), "--peak 0.5"),
    "peak and seconds": ((*H200, "--peak", "3"), "is of a day; give --rate, no --seconds"),
    "ITL that nothing reaches": ((*H200, "--itl-ms", "0.5"), "--itl-ms 0.5: one request alone takes"),
    "TTFT that nothing reaches": ((*H200, "--ttft-ms", "2"), "--ttft-ms 2: one request alone takes"),
    "negative SLO": ((*H200, "--itl-ms", "-5"), "--itl-ms -5: must be from 0.001"),
    "attainment": ((*H200, "--attainment", "95"), "--attainment 95: must be from 0.001 to 1, such as 0.95"),
    "model too large": (
        ("--gpu", "l40s", "--precision", "bf16", "--rate", "2"), "gemma4 plan memory",
    ),
    "request too large": (
        (*H200, "--prompt-tokens", "300000"), "the model's context is 262144 tokens",
    ),
    "length": ((*H200, "--prompt-tokens", "few"), "--prompt-tokens few"),
    "bounds turned around": (
        (*H200, "--replicas", "4", "--min-replicas", "5", "--max-replicas", "4"),
        "--min-replicas 5: must be 1 to --max-replicas, which is 4",
    ),
    "replicas beyond": (
        (*H200, "--replicas", "9", "--min-replicas", "1", "--max-replicas", "4"),
        "--replicas 9: must be 1 to 4",
    ),
    "starts of nothing": ((*H200, "--start-seconds", "60"), "nothing starts without --max-replicas"),
    "bound without the other": ((*H200, "--min-replicas", "2"), "needs --max-replicas"),
    "prefixes without tokens": ((*H200, "--shared-prefixes", "4"), "give both, or neither"),
    "warm-up beyond the end": ((*H200, "--warmup", "120"), "--warmup 120: must be below the 120 s"),
    "precision": ((*H200, "--precision", "fp4"), "--precision fp4: known are"),
    "preset": ((*H200, "--preset", "fast"), "--preset fast: known are"),
    "seconds inf": (("--gpu", "h200", "--rate", "2", "--seconds", "inf"), "--seconds inf: must be"),
    "rate without end": (
        ("--gpu", "h200", "--rate", "1000000", "--seconds", "900"), "shorten --seconds, or give more",
    ),
    "users without end": (
        ("--gpu", "h200", "--users", "10000000", "--seconds", "900"), "requests to simulate",
    ),
    "sigma": ((*H200, "--prompt-tokens", "lognormal:800:50"), "a sigma of 50 draws anything; give at most 10"),
    "no users": (("--gpu", "h200", "--users", "0", "--seconds", "9"), "--users 0: must be from 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_question_gets_a_way_out(name: str) -> None:
    words, says = BAD[name]
    code, out, error = run(*words)
    assert code == 2, out + error
    assert says in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            [{"timestamp": 5, "input_length": 9, "output_length": 1},
             {"timestamp": 4, "input_length": 9, "output_length": 1}],
            "line 2: timestamp 4 is before the line above it",
        ),
        ([{"timestamp": -1, "input_length": 9, "output_length": 1}], "line 1: timestamp is -1"),
        ([{"timestamp": 0, "output_length": 1}], "line 1: input_length is None"),
        (
            [{"timestamp": 0, "output_length": 1, "messages": [{"role": "user", "content": "x"}]}],
            "request 1 has messages and no input_length",
        ),
        ([], "no requests in it"),
    ],
)  # fmt: skip
def test_a_bad_trace_is_named_by_its_line(
    tmp_path: Path, lines: list[dict[str, Any]], says: str
) -> None:
    code, _, error = run("--gpu", "h200", "--trace", str(trace_file(tmp_path, *lines)))
    assert code == 2
    assert says in error


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"decode": [[8, 0.02], [1, 0.01]]},
            "decode: Value error, [1, 0.01] comes after [8, 0.02]",
        ),
        ({"prefill": [[1, 0.02], [8, 0.01]]}, "prefill: Value error"),
        ({"decode": []}, "decode"),
        ({"decode": [[1, 0.0]]}, "decode.0.1"),
        ({"slots": 0}, "slots"),
        ({"steps": 1}, "steps"),
    ],
)
def test_a_bad_file_of_steps_is_named_by_its_place(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = tmp_path / "steps.json"
    path.write_text(json.dumps(STEPS | change))
    with pytest.raises(BadQuestionError) as caught:
        read_steps(path)
    assert f"--steps {path}: {says}" in str(caught.value)


ROOFLINES = [
    RooflineSteps(
        "h200", read_catalog().gpus["h200"], Split(precision="fp8"), read_fitted(), end=end
    )
    for end in END
]
ALL: list[StepTimes] = [*ROOFLINES, MeasuredSteps(StepFile.model_validate(STEPS))]
sizes = st.tuples(
    st.integers(0, 256), st.integers(1, 20_000), st.integers(0, 8192), st.integers(0, 100_000)
).filter(lambda size: size[0] + size[2] > 0)


@given(size=sizes, more=st.tuples(*[st.integers(0, 500)] * 4), which=st.integers(0, len(ALL) - 1))
@settings(max_examples=300)
def test_a_larger_step_takes_no_less(
    size: tuple[int, int, int, int], more: tuple[int, int, int, int], which: int
) -> None:
    pace = ALL[which]

    def seconds(decode: int, mean: int, prefill: int, seen: int) -> float:
        return pace.seconds(decode, decode * mean, prefill, float(seen))

    less = seconds(*size)
    assert 0 < less < math.inf
    grown = [had + add for had, add in zip(size, more, strict=True)]
    if size[2] == 0:
        grown[2] = 0  # seen counts with prompts only
    assert seconds(*grown) >= less * (1 - 1e-9)


def test_steps_are_those_of_plan_fit() -> None:
    """Between the knots too, to a part in a thousand; and the slow end is slower."""
    pace = CopyPace(
        name="h200", card=read_catalog().gpus["h200"], split=Split(precision="fp8"), prompt=700,
        output=600, fitted=read_fitted(),
    )  # fmt: skip
    fast, middle, slow = ROOFLINES
    for streams in (1, 16, 200):
        expected = pace._step(streams, prefill=0)
        found = middle.seconds(streams, streams * 1000.0, 0, 0.0)
        assert found == pytest.approx(expected, rel=1e-3)
        assert fast.seconds(streams, streams * 1000.0, 0, 0.0) < found
        assert slow.seconds(streams, streams * 1000.0, 0, 0.0) > found
        both = middle.seconds(streams, streams * 1000.0, 300, 350.0)
        assert both == pytest.approx(pace._step(streams, prefill=300), rel=1e-6)
