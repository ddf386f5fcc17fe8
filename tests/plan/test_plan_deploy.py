"""What a plan ends with is never refused: by the command line, Compose's files, the chart's schema,
and the build's own checks."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.request import BuildRequest
from gemma4_plan.catalog import Card, read_catalog
from gemma4_plan.deploy.chosen import Chosen
from gemma4_plan.deploy.compose import env_lines
from gemma4_plan.deploy.helm import values, values_text
from gemma4_plan.deploy.shown import deploy_json
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.gpu_memory import Split
from gemma4_plan.host.costs import host_costs
from gemma4_plan.options import FitQuestion, rank
from gemma4_plan.speed.fitted import read_fitted
from gemma4_runtime.trtllm.presets import PRESETS, compose
from gemma4_runtime.trtllm.setup import PRECISIONS
from gemma4_testing.deploy.compose_files import ROOT, parse, services
from hypothesis import given, settings
from hypothesis import strategies as st

CHART = ROOT / "deploy" / "helm" / "gemma4-triton"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
HOST = host_costs(requests_per_s=30, prompt=1024, output=512, copies=3, at_once=400)
GPUS = read_catalog().gpus
OWN = Card(product="H20", sm=90, memory_gb=96)


@st.composite
def chosen(draw: st.DrawFn) -> Chosen:
    tp = draw(st.sampled_from((1, 2, 4, 8)))
    split = Split(
        precision=draw(st.sampled_from(PRECISIONS)), tp=tp, ep=draw(st.sampled_from((1, tp)))
    )
    if split.precision == "nvfp4":
        split = dataclasses.replace(split, quantize=draw(st.sampled_from(("experts", "mlp"))))
    if split.precision != "int4":
        split = dataclasses.replace(split, pad=draw(st.booleans()))
    try:
        split.check()
    except BadQuestionError:
        split = Split(precision=split.precision)
    name = draw(st.sampled_from((*GPUS, "h20")))
    return Chosen(
        gpu=name, card=GPUS.get(name, OWN), split=split, preset=draw(st.sampled_from(PRESETS)),
        slots=draw(st.integers(1, 2048)), tokens=draw(st.integers(2, 262_144)),
        replicas=draw(st.integers(1, 3000)), host=HOST,
    )  # fmt: skip


def request(params: dict[str, Any]) -> BuildRequest:
    """Make the request as ``gemma4 build`` does, which checks all options."""
    gpu_options = {
        name: params[name] for name in ("tp", "gpu", "preset", "quantize") if params[name]
    }
    gpu_options["ep"] = params["ep"] or params["tp"] or 1
    return BuildRequest(
        checkpoint=Path("/models/x"), out=Path("/engines/x"), runtime=params["runtime"],
        precision=params["precision"], slots=params["slots"],
        max_total_tokens=params["max_total_tokens"],
        trtllm=GpuOptions(**gpu_options, pad_experts=params["pad_experts"]),
    )  # fmt: skip


@given(chosen())
def test_the_build_is_one_that_works(plan: Chosen) -> None:
    found = request(parse(shlex.split(plan.build())))
    assert found.runtime == "tensorrt_llm" and found.trtllm.preset == plan.preset
    assert (found.trtllm.tp, found.trtllm.ep) == (plan.split.tp, plan.split.ep)
    assert (found.slots, found.max_total_tokens) == (plan.slots, max(plan.tokens, 1025))
    assert found.trtllm.pad_experts == plan.split.pad
    args = compose(
        plan.preset, precision=found.precision, tp=found.trtllm.tp, ep=found.trtllm.ep,
        attention_dp=False, slots=found.slots, max_total_tokens=found.max_total_tokens or 0,
    )  # fmt: skip
    pinned = args["kv_cache_config"]["host_cache_size"] * plan.split.tp / 2**30
    assert pinned + 32 <= plan.memory_gib() < pinned + 40.001


@settings(max_examples=25)  # Compose's files are read anew for each
@given(chosen())
def test_the_lines_are_those_of_the_example_file(plan: Chosen) -> None:
    lines = env_lines(plan)
    settable = set(re.findall(r"^#([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
    env = dict(line.split("=", 1) for line in lines)
    assert set(env) <= settable
    if plan.split.pad or plan.split.quantize != "experts":
        assert not lines
        return
    service = services("gpu", **env)["engine-build"]
    found = request(parse(service["command"]))
    assert found.trtllm.gpu == plan.build_gpu and found.precision == plan.split.precision
    assert (found.trtllm.tp, found.trtllm.ep) == (plan.split.tp, plan.split.ep)
    assert (found.slots, found.max_total_tokens) == (plan.slots, max(plan.tokens, 1025))
    assert service["deploy"]["resources"]["limits"]["memory"] == f"{plan.memory_gib()}g"
    running = services(**env)["gateway"]["environment"]["GEMMA4_GATEWAY_MAX_RUNNING"]
    assert int(running) >= plan.slots


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in over.items():
        found[key] = merged(base[key], value) if isinstance(value, dict) else value
    return found


@given(chosen())
def test_the_values_keep_to_the_schema(plan: Chosen) -> None:
    given_values = values(plan)
    assert yaml.safe_load(values_text(plan)) == given_values
    whole = merged(DEFAULTS, given_values)  # KeyError for a key that the chart does not have
    jsonschema.validate(whole, SCHEMA)
    assert whole["engine"]["build"]["checkpointClaim"]  # without it the chart refuses
    assert whole["triton"]["gpus"] % whole["engine"]["tp"] == 0
    build = whole["engine"]["build"]
    words = ["gemma4", "build", "/checkpoint", "--out", "/engine/x", "--runtime", build["runtime"],
             "--precision", build["precision"], "--slots", build["slots"], "--max-total-tokens",
             build["maxTotalTokens"], "--gpu", build["gpu"], "--tp", whole["engine"]["tp"], "--ep",
             build["ep"] or whole["engine"]["tp"], "--preset", build["preset"],
             *build["extraArgs"]]  # fmt: skip
    assert request(parse(words)) == dataclasses.replace(
        request(parse(shlex.split(plan.build()))), out=Path("/engines/x")
    )


def test_a_card_of_ones_own_is_built_as_its_nearest() -> None:
    plan = Chosen(gpu="h20", card=OWN, split=Split(precision="bf16"), slots=8, tokens=4096,
                  replicas=1, host=HOST)  # fmt: skip
    assert "--gpu gh200 " in plan.build()
    unknown = dataclasses.replace(plan, card=Card(product="Next", sm=130, memory_gb=300))
    assert "--gpu" not in unknown.build() and not env_lines(unknown)
    assert "gpu" not in values(unknown)["engine"]["build"]
    assert parse(shlex.split(unknown.build()))


def test_every_option_of_a_ranking_has_its_commands() -> None:
    from gemma4_plan.options_table import as_json

    question = FitQuestion(prompt=1024, output=512, ttft_ms=500, itl_ms=30, rate=200)
    found = as_json(rank(question, read_catalog(), read_fitted()), question)
    for option in found["options"]:
        deploy = option["deploy"]
        assert option["copies"] is not None and deploy["compose"] is not None
        assert deploy["build"] == option["build"]
        assert request(parse(shlex.split(deploy["build"])))
        assert deploy["helm"]["triton"]["replicas"] == option["copies"][1]
        assert deploy["compose"]["SLOTS"] == str(option["streams"])
        assert option["host"]["tokens_per_s"] == 200 * 512
        jsonschema.validate(merged(DEFAULTS, deploy["helm"]), SCHEMA)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_json_and_text_say_the_same(precision: Any) -> None:
    plan = Chosen(gpu="h200", card=GPUS["h200"], split=Split(precision=precision), slots=8,
                  tokens=4096, replicas=2, host=HOST)  # fmt: skip
    found = deploy_json(plan)
    assert found["helm"] == values(plan) and found["preset"] == "throughput"
    compose = found["compose"] or {}
    assert [f"{name}={value}" for name, value in compose.items()] == env_lines(plan)
