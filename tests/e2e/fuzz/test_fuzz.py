"""Mutated requests of each protocol: every one ends, nothing breaks, others are served."""

from __future__ import annotations

import os
import re

import pytest
from gemma4_testing.engine_folders.synthetic_engine import CHECKPOINT
from gemma4_testing.fuzz.known import KNOWN, known_crash
from gemma4_testing.fuzz.mutate import case
from gemma4_testing.fuzz.run import fuzz, watched
from gemma4_testing.fuzz.send import PROTOCOLS
from gemma4_testing.fuzz.spec import INPUTS, MODELS, OUTPUTS, Spec, tensor
from gemma4_testing.servers.served import Served

SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_request_ends(target: Served, count: int, protocol: str) -> None:
    with watched(target) as canary:
        endings = fuzz(target, protocol, seed=SEED, count=count)
    slow = ", ".join(f"{SEED}/{n} {seconds * 1000:.0f} ms" for seconds, n in endings.slowest)
    print(
        f"\n{protocol}: {dict(endings.counts)}, {len(canary.seconds)} canaries, p99 "
        f"{canary.p99 * 1000:.0f} ms, slowest {max(canary.seconds) * 1000:.0f} ms; slowest requests "
        f"{slow}"
    )
    assert endings.counts.total() == count
    assert endings.counts["error"] > count / 10
    assert endings.counts["answer"] > count / 50
    assert canary.p99 < 5


@pytest.mark.parametrize("model", MODELS)
def test_the_fuzzer_knows_every_input_and_output(model: str) -> None:
    text = (CHECKPOINT.parents[1] / "model_repository" / model / "config.pbtxt").read_text()
    text = text.split("ensemble_scheduling")[0]
    found = dict(re.findall(r'name: "(\w+)" data_type: TYPE_(\w+)', text))
    names = {"STRING": "BYTES"}
    mine = {name: t["datatype"] for name, t in INPUTS[model].items()} | OUTPUTS[model]
    assert mine == {name: names.get(kind, kind) for name, kind in found.items()}


def test_a_run_can_be_repeated() -> None:
    first, second = ([case(3, n) for n in range(200)] for _ in "12")
    assert repr(first) == repr(second)
    assert repr(first) != repr([case(4, n) for n in range(200)])


def test_known_crashes_are_left_out() -> None:
    classified = Spec("gemma4", [], [{"name": "text_output", "parameters": {"classification": 1}}])
    number = Spec("gemma4", [], [{"name": "output_ids", "parameters": {"classification": 1}}])
    huge = Spec("gemma4", [tensor("max_tokens", "INT32", 1) | {"shape": [1, 2**40]}])
    deep = "[" * 600_000
    found = [known_crash(s) for s in (classified, huge, Spec("gemma4", [], extra={"x": deep}),
                                      Spec("gemma4", [tensor("temperature", "FP16", [])]))]  # fmt: skip
    assert found == list(KNOWN)
    assert known_crash(number) is None
    assert all(known_crash(case(5, n)) is None for n in range(300))
