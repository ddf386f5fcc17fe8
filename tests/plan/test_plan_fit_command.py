"""``gemma4 plan fit``: the ranking holds what it says, and bad questions get a way out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from gemma4_cli.main import app
from gemma4_plan.catalog import BUILT_IN, read_catalog
from gemma4_plan.gpu_memory import Split
from gemma4_plan.options import FitQuestion, Ranking, rank
from gemma4_plan.speed.copy_pace import CopyPace
from gemma4_plan.speed.fitted import read_fitted
from typer.testing import CliRunner

CHAT = FitQuestion(prompt=1024, output=512, ttft_ms=500, itl_ms=30, rate=20)


def ranked(question: FitQuestion) -> Ranking:
    return rank(question, read_catalog(), read_fitted())


@pytest.fixture(scope="module")
def chat() -> Ranking:
    return ranked(CHAT)


def run(*words: str) -> tuple[int, str, str]:
    ran = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["plan", "fit", *words])
    return ran.exit_code, ran.stdout, ran.stderr


def middle(ends: Any) -> float:
    return math.sqrt(ends.low * ends.high)


def test_the_slos_hold_and_one_stream_more_breaks_a_bound(chat: Ranking) -> None:
    for option in chat.options:
        assert middle(option.itl_ms) <= 30 * (1 + 1e-9)
        assert middle(option.ttft_ms) <= 500 * (1 + 1e-9)
        pace = CopyPace(name=option.gpu, card=option.card, split=option.split, prompt=1024,
                        output=512, fitted=read_fitted())  # fmt: skip
        more = option.streams + 1
        beyond = {
            "itl": 1e3 * pace.itl(more) > 30,
            "ttft": 1e3 * pace.ttft(more) > 500,
            "batch": option.streams == 256,
            "memory": True,
        }
        assert beyond[option.bound], option


def test_cautious_holds_at_the_bad_end() -> None:
    found = ranked(FitQuestion(prompt=1024, output=512, ttft_ms=500, itl_ms=30, cautious=True))
    assert found.options
    for option in found.options:
        assert option.itl_ms.high <= 30 * (1 + 1e-9) and option.ttft_ms.high <= 500 * (1 + 1e-9)


def test_the_cheapest_first_then_those_without_a_price(chat: Ranking) -> None:
    priced = [option for option in chat.options if option.usd_per_million]
    assert list(chat.options[: len(priced)]) == priced
    costs = [middle(option.usd_per_million) for option in priced]
    assert costs == sorted(costs)
    rest = [option.per_gpu for option in chat.options[len(priced) :]]
    assert rest == sorted(rest, reverse=True) and rest


def test_copies_carry_the_rate(chat: Ranking) -> None:
    for option in chat.options:
        assert option.copies is not None
        needed = 20 * 512
        assert option.copies.high * option.tokens_per_s.low >= needed
        assert option.copies.low * option.tokens_per_s.high >= needed
        assert (option.copies.low - 1) * option.tokens_per_s.high < needed


def test_every_gpu_and_precision_is_ranked_or_left_out_with_a_reason(chat: Ranking) -> None:
    seen = {f"{option.gpu} {option.split.precision}" for option in chat.options}
    seen |= {left.what for left in chat.left_out}
    assert seen == {
        f"{gpu} {precision}"
        for gpu in read_catalog().gpus
        for precision in ("bf16", "fp8", "nvfp4", "int4")
    }
    assert all(left.reason for left in chat.left_out)
    assert all(option.status != "no" for option in chat.options)


def test_a_price_of_ones_own() -> None:
    cheap, dear = (
        ranked(FitQuestion(prompt=1024, output=512, gpu="b300", precision="nvfp4", usd_per_hour=p))
        for p in (3.0, 6.0)
    )
    first, second = cheap.options[0].usd_per_million, dear.options[0].usd_per_million
    assert first is not None and second is not None
    assert second.low == pytest.approx(2 * first.low)
    option = cheap.options[0]
    assert first.high == pytest.approx(3.0 * option.split.tp * 1e6 / 3600 / option.tokens_per_s.low)


def test_the_table_and_the_json() -> None:
    code, text, _ = run("--gpu", "h200", "--itl-ms", "30", "--rate", "5", "--top", "3")
    assert code == 0
    assert "GPUs for 5/s" in text and "more options: --top" in text
    (build,) = [line for line in text.splitlines() if line.startswith("gemma4 build ")]
    assert "--gpu h200" in build and "\nGPU=h200\n" in text and "\nhosts, " in text
    code, text, _ = run("--gpu", "h200", "--itl-ms", "30", "--json")
    found = json.loads(text)["result"]
    first = found["options"][0]
    assert code == 0 and first["gpu"] == "h200"
    assert first["itl_ms"][0] < first["itl_ms"][1] and first["copies"] is None
    assert f"--slots {first['streams']} --max-total-tokens 1536" in first["build"]


def test_a_gpu_of_ones_own_without_figures(tmp_path: Path) -> None:
    text = BUILT_IN.read_text(encoding="utf-8")
    file = tmp_path / "gpus.yaml"
    new = "gpus:\n  h20:\n    product: H20\n    sm: 90\n    memory_gb: 96\n"
    file.write_text(text.replace("gpus:\n", new, 1), encoding="utf-8")
    code, _, said = run("--gpu", "h20", "--catalog", str(file))
    assert code == 2 and "h20 bf16: the catalog has no bandwidth_gbs" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--itl-ms", "0.5"), r"--itl-ms 0.5: the nearest option, "),
        (("--ttft-ms", "2"), r"--ttft-ms 2: the nearest option, "),
        (("--gpu", "h2000"), "did you mean h200?"),
        (("--gpu", "cpu"), "--gpu cpu: no speed is fitted for CPUs; measure"),
        (("--gpu", "l40s"), "nothing can be ranked; l40s bf16: L40S (SM89)"),
        (("--precision", "fp4"), "--precision fp4: known are bf16"),
        (("--usd-per-hour", "2"), "--usd-per-hour 2: needs --gpu"),
        (
            ("--prompt-tokens", "262000", "--output-tokens", "512"),
            "--prompt-tokens 262000 --output-tokens 512: the model's context is 262144 tokens",
        ),
        (("--catalog", "none.yaml"), "--catalog none.yaml: No such file"),
    ],
)
def test_bad_questions(words: tuple[str, ...], says: str) -> None:
    code, _, text = run(*words)
    (line,) = text.strip().splitlines()
    assert code == 2 and line.startswith("gemma4: ") and says in line


def test_the_way_out_of_an_impossible_slo_works() -> None:
    _, _, said = run("--itl-ms", "0.5", "--gpu", "h200")
    least = said.split("give --itl-ms ")[1].split(",")[0]
    assert run("--itl-ms", least, "--gpu", "h200")[0] == 0


def test_splits_that_are_ranked_load() -> None:
    for option in ranked(FitQuestion(prompt=100, output=100)).options:
        Split(precision=option.split.precision, tp=option.split.tp, ep=option.split.ep).check()
