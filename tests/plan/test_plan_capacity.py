"""``gemma4 plan capacity``: the cheapest fleet, held against the simulator; and what is refused."""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from gemma4_cli.main import app
from gemma4_load.workloads.lengths import Length, parse_length
from gemma4_plan.catalog import read_catalog
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.fleet.answer import Answer, answer
from gemma4_plan.fleet.lengths import longest, mean
from gemma4_plan.fleet.question import CapacityQuestion
from gemma4_plan.fleet.search import search
from gemma4_plan.fleet.shown import show
from gemma4_plan.fleet.sizing import LOST, Sizing, kept, misses
from gemma4_plan.fleet.sweep import sweep
from gemma4_plan.options import rank
from gemma4_plan.report.page import page
from gemma4_plan.speed.fitted import read_fitted
from gemma4_testing.deploy.compose_files import parse
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

CHAT = CapacityQuestion(
    prompt=Length("fixed", 600), output=Length("fixed", 150), rate=30, peak=2, ttft_ms=400,
    itl_ms=30, max_streams=16,
)  # fmt: skip
"""So few streams that the fleet has several copies, of which each simulation is short."""


def run(*words: str) -> tuple[int, str, str]:
    ran = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["plan", "capacity", *words])
    return ran.exit_code, ran.stdout, ran.stderr


@pytest.fixture(scope="module")
def chat() -> Answer:
    return answer(CHAT, read_catalog(), read_fitted())


def test_the_fleet_holds_and_one_copy_less_does_not(chat: Answer) -> None:
    best = chat.best
    sizing = Sizing(CHAT, best.option, read_fitted())
    assert sizing.holds(best.needed)
    assert best.needed == sizing.least() or not sizing.holds(best.needed - 1)
    times = best.outcome
    assert times.ttft.p95 <= 0.4 and times.itl.p95 <= 0.03
    assert (sum(times.refused.values()) + times.failed) <= LOST * times.arrived
    assert best.copies == best.needed + 1


def test_no_option_is_cheaper(chat: Answer) -> None:
    """Every option of the catalog that is sure, sized or bounded by hand."""
    best = chat.best.usd_per_hour
    assert best is not None
    for other in chat.found.others:
        price = other.usd_per_hour
        assert price is not None and price[0] * price[1] >= best[0] * best[1] * (1 - 1e-9)
    for option in rank(CHAT.fit(), read_catalog(), read_fitted()).options:
        rent = option.card.usd_per_hour
        if option.status != "yes" or rent is None:
            continue
        least = Sizing(CHAT, option, read_fitted()).least() + 1
        gpus = least * option.split.tp
        sized = any(c.option == option for c in (chat.best, *chat.found.others))
        assert sized or gpus**2 * rent.low * rent.high >= best[0] * best[1] * (1 - 1e-9)


def test_the_slow_end_needs_more(chat: Answer) -> None:
    found = chat.found
    assert found.end == "middle" and found.middle == chat.best.needed
    assert found.fast is not None and found.fast <= chat.best.needed
    assert found.slow is None or found.slow >= chat.best.needed


def test_costs_are_those_of_the_catalog(chat: Answer) -> None:
    rent = chat.best.option.card.usd_per_hour
    assert rent is not None and chat.usd_per_day is not None and chat.usd_per_million is not None
    gpus = chat.best.copies * chat.best.option.split.tp
    assert chat.usd_per_day.low == pytest.approx(24 * gpus * rent.low)
    tokens = 30 * 86_400 * 150
    assert (
        chat.scaled is None
        or chat.scaled.usd_per_day is None
        or (chat.scaled.usd_per_day.low < chat.usd_per_day.low)
    )
    assert chat.usd_per_million.high == pytest.approx(24 * gpus * rent.high / tokens * 1e6)
    assert chat.day.output_throughput == pytest.approx(30 * 150, rel=0.05)


def test_the_command_that_checks_autoscaling_is_one(chat: Answer) -> None:
    scaled = chat.scaled
    assert scaled is not None and scaled.least < scaled.most == chat.best.copies
    group: Any = typer.main.get_group(app).commands["plan"]
    words = shlex.split(scaled.check)
    assert words[:3] == ["gemma4", "plan", "simulate"]
    params = group.commands["simulate"].make_context("simulate", words[3:]).params
    assert (params["rate"], params["peak"], params["slots"]) == (30, 2, 16)
    assert (params["min_replicas"], params["max_replicas"]) == (scaled.least, scaled.most)
    assert scaled.usd_per_day is not None and chat.usd_per_day is not None
    assert scaled.usd_per_day.low < chat.usd_per_day.low


def test_the_deployment_is_that_of_the_fleet(chat: Answer) -> None:
    chosen = chat.chosen
    assert chosen.replicas == chat.best.copies and chosen.slots == chat.best.option.streams
    words = shlex.split(chosen.build())
    params = parse(words)
    assert params["max_total_tokens"] == 1025 and params["gpu"] == chat.best.option.gpu


class Page(HTMLParser):
    """Collects what a page would load, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text = ""
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "xlink:href", "data", "action") and value:
                self.loads.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_needs_nothing_else(chat: Answer) -> None:
    html = page(chat, sweep(chat, read_fitted()))
    found = Page()
    found.feed(html)
    assert not found.loads and "script" not in found.tags and "link" not in found.tags
    assert not re.search(r"@import|url\(|https?://", html.split("</style>")[0])
    for words in (
        "The fleet over the day", "Time to the first token against load", "for 10⁶ output tokens",
        "Time between two tokens over the day", "Requests over the day", "KV cache", "weights",
        "Cost against the time between two tokens", chat.chosen.build(), "helm install",
        "maxTotalTokens: 1025", "SLO (p95)",
    ):  # fmt: skip
        assert words in found.text, words
    assert found.tags.count("svg") == found.tags.count("figcaption") - 1
    widths = [float(width) for width in re.findall(r'style="width:([\d.]+)%', html)]
    assert len(widths) == 4 and sum(widths) == pytest.approx(100, abs=0.05)
    assert "nan" not in html and "None" not in found.text


def test_a_report_and_json_of_the_command(tmp_path: Path) -> None:
    file = tmp_path / "plan.html"
    words = ("--rate", "3", "--gpu", "h200", "--precision", "bf16", "--output-tokens", "100",
             "--ttft-ms", "900", "--spare", "2")  # fmt: skip
    code, text, _ = run(*words, "--json", "--report", str(file))
    assert code == 0
    found = json.loads(text)["result"]
    best = found["best"]
    assert best["gpu"] == "h200" and best["spare"] == 2 and found["planned_for"] == "middle"
    assert found["deploy"]["helm"]["triton"]["replicas"] == best["copies_needed"] + 2
    assert best["busiest"]["ttft_s"]["p95"] <= 0.9
    assert "<!doctype html>" in file.read_text(encoding="utf-8")
    code, text, _ = run(*words)
    assert code == 0 and "What saturates first: " in text and "\ngemma4 build " in text
    assert "2 of them spare" in text and "\nhosts, " in text


def test_a_trace_is_sized_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    lines = [
        {"timestamp": 40 * at, "input_length": 500 + at % 300, "output_length": 40 + at % 7}
        for at in range(400)
    ]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    code, text, said = run("--trace", str(file), "--gpu", "h200", "--ttft-ms", "900", "--json")
    assert code == 0, said
    found = json.loads(text)["result"]
    most = max(line["input_length"] + line["output_length"] for line in lines)
    assert found["day"]["arrived"] == 400 and found["question"]["longest"] == most
    assert found["autoscaled"] is None
    lines[3]["timestamp"] = 0
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    code, _, said = run("--trace", str(file), "--ttft-ms", "900")
    assert code == 2 and "line 4: timestamp 0 is before the line above it" in said


@given(
    st.sampled_from(("1000", "uniform:10:500", "normal:800:100", "lognormal:300:0.7")),
    st.integers(0, 5),
)
def test_lengths(text: str, seed: int) -> None:
    length = parse_length("--prompt-tokens", text)
    rng = np.random.default_rng(seed)
    draws = [length.draw(rng) for _ in range(4000)]
    assert np.mean(draws) == pytest.approx(mean(length), rel=0.06)
    assert sum(draw > longest(length) for draw in draws) <= 10


def test_users_are_a_rate() -> None:
    users = replace(CHAT, rate=None, users=6000, every=120, peak=4)
    assert users.peak_rate == pytest.approx(50) and users.mean_rate == pytest.approx(12.5)
    assert replace(CHAT, rate=None, users=600).users_every == 60
    assert CHAT.peak_rate == 60


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--ttft-ms", "500"), "give one of --rate, --users and --trace"),
        (("--rate", "2", "--users", "5", "--ttft-ms", "500"), "give one of --rate"),
        (("--rate", "2"), "give --ttft-ms, --itl-ms or both"),
        (("--rate", "-2", "--ttft-ms", "500"), "--rate -2: must be from 0.001 to "),
        (("--rate", "0", "--ttft-ms", "500"), "--rate 0: must be from 0.001 to "),
        (("--rate", "nan", "--ttft-ms", "500"), "--rate nan: must be from 0.001 to "),
        (("--rate", "2", "--ttft-ms", "-1"), "--ttft-ms -1: must be from 0.001 to "),
        (("--rate", "2", "--every", "9", "--itl-ms", "30"), "--every 9: needs --users"),
        (("--rate", "2", "--peak", "99", "--itl-ms", "30"), "--peak 99: must be from 1 to 20"),
        (("--rate", "2", "--itl-ms", "30", "--gpu", "h2000"), "did you mean h200?"),
        (("--rate", "2", "--itl-ms", "30", "--gpu", "cpu"), "no speed is fitted for CPUs"),
        (("--rate", "2", "--itl-ms", "30", "--precision", "fp4"), "known are bf16"),
        (("--rate", "2", "--itl-ms", "30", "--prompt-tokens", "x"), "--prompt-tokens x: "),
        (
            ("--rate", "2", "--itl-ms", "30", "--prompt-tokens", "300000"),
            "--prompt-tokens 300000: the model's context is 262144 tokens",
        ),
        (("--rate", "2", "--itl-ms", "0.5"), "--itl-ms 0.5: the nearest option, "),
        (
            ("--rate", "2", "--itl-ms", "60", "--gpu", "dgx-spark"),
            "add --experimental",
        ),
        (("--trace", "none.jsonl", "--itl-ms", "30"), "--trace none.jsonl: "),
        (
            ("--rate", "2", "--itl-ms", "30", "--report", "no/such/x.html"),
            "--report no/such/x.html: there is no folder no/such; make it first",
        ),
        (("--rate", "2", "--itl-ms", "30", "--report", "."), "--report .: is a folder"),
    ],
)
def test_bad_questions(words: tuple[str, ...], says: str) -> None:
    code, _, text = run(*words)
    (line,) = text.strip().splitlines()
    assert code == 2 and line.startswith("gemma4: ") and says in line


def options_of(text: str) -> dict[str, float]:
    """The options that an error proposes, after its last semicolon."""
    found = re.findall(r"--([a-z-]+)-ms ([\d.]+)", text.rsplit(";", maxsplit=1)[-1])
    return {f"{name}_ms": float(value) for name, value in found}


def test_the_nearest_slo_that_is_named_works() -> None:
    # The mean prompt is quick enough, the longest in twenty are not.
    asked = replace(
        CHAT, prompt=Length("lognormal", 600, 0.9), gpu="h200", precision="bf16", rate=5, peak=1,
        ttft_ms=19,
    )  # fmt: skip
    with pytest.raises(BadQuestionError) as refused:
        search(asked, read_catalog(), read_fitted())
    said = str(refused.value)
    assert "--ttft-ms 19: p95 cannot hold; the nearest is h200 bf16 tp " in said
    found = search(replace(asked, **options_of(said)), read_catalog(), read_fitted())  # type: ignore[arg-type]
    assert found.best.needed >= 1


def test_the_gpus_and_the_rate_that_are_named_work() -> None:
    asked = replace(CHAT, gpu="h200", precision="bf16", rate=80, peak=1, max_gpus=3)
    with pytest.raises(BadQuestionError) as refused:
        search(asked, read_catalog(), read_fitted())
    said = str(refused.value)
    assert said.startswith("--max-gpus 3: the smallest fleet that holds is ")
    gpus, rate = (
        re.split(f"{option} ", said)[-1].split()[0].strip(",;")
        for option in ("--max-gpus", "--rate")
    )
    more = search(replace(asked, max_gpus=int(gpus)), read_catalog(), read_fitted())
    assert more.best.gpus == int(gpus)
    less = search(replace(asked, rate=float(rate) * 0.98), read_catalog(), read_fitted())
    assert less.best.gpus <= 3


def test_what_is_missed(chat: Answer) -> None:
    outcome, traffic = chat.best.outcome, CHAT.busiest()
    assert kept(outcome, traffic)
    strict: Any = replace(traffic, slos=replace(traffic.slos, itl_s=outcome.itl.p95 / 2))
    assert misses(outcome, strict) == {"itl": pytest.approx(2)}
    lost = replace(outcome, refused={"queue_full": outcome.arrived / 100})
    assert misses(lost, traffic) == {"lost": pytest.approx(0.01 / LOST)}


def test_many_options_that_are_left_out_are_counted(chat: Answer) -> None:
    """They were 14 lines between the fleet and what deploys it."""

    def said(answer: Answer) -> str:
        console = Console(file=io.StringIO(), width=100)
        show(answer, console)
        return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    left = chat.found.left_out
    assert f"{len(left)} options were not considered; --json, --report and --gpu" in said(chat)
    few = replace(chat, found=replace(chat.found, left_out=left[:1]))
    assert f"not considered: {left[0].what}: {left[0].reason}" in said(few)
