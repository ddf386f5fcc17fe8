"""Thoughts and tool calls beside a guide, on every runtime with a model: what the engines give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.errors import RequestError
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import (
    GenerationRequest,
    GuidedDecoding,
    Prelude,
    SamplingParams,
    ToolCall,
)
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.cases.turn_texts import FORMS, SCHEMA
from gemma4_testing.fakes.engine_harness import EOS, ask, load_tensorrt_llm, run
from tokenizers import Tokenizer

GUIDED = GuidedDecoding("json_schema", json.dumps(SCHEMA))
TOOLS = ("get_weather", "get")
QUESTION = "<bos><|turn>user\nWhat is the weather in Paris?<turn|>\n<|turn>model\n"
DECLARED = QUESTION.replace(
    "<bos>",
    '<bos><|turn>system\n<|tool>declaration:get_weather{description:<|"|>Get the weather<|"|>,'
    'parameters:{properties:{city:{description:<|"|>City name<|"|>,type:<|"|>STRING<|"|>}},'
    'required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}<tool|><turn|>\n',
)
NO_THOUGHT = "<|channel>thought\n<channel|>"


@pytest.fixture(scope="module", params=["llama_cpp", "tensorrt_llm"])
def model(
    request: pytest.FixtureRequest,
    checkpoint: Path,
    table: TokenTable,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine") / "it"
    if request.param == "tensorrt_llm":
        engine = load_tensorrt_llm(checkpoint, table, folder)
    else:
        build_engine(
            BuildRequest(checkpoint=checkpoint, out=folder, precision="f32", slots=2,
                         max_total_tokens=2000, skip_verify=True),
            SilentReporter(),
        )  # fmt: skip
        settings = Settings(folder, folder, threads=1)
        engine = create_engine(folder, read_manifest(folder), table, settings)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def encode(checkpoint: Path) -> Callable[[str], list[int]]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@pytest.fixture
def answer(
    model: Engine, encode: Callable[[str], list[int]], table: TokenTable
) -> Callable[..., tuple[str, str, tuple[ToolCall, ...], str]]:
    """The content, thoughts, calls and finish reason of an answer."""

    def get(prompt: str, prelude: Any, *, guided: GuidedDecoding = GUIDED, **options: Any) -> Any:
        options = {"max_tokens": 300} | options
        sink = run(model, encode(prompt), guided=guided, prelude=prelude, **options)
        request = GenerationRequest(
            key="k", input_ids=[2], sampling=SamplingParams(max_tokens=1, stop_token_ids=EOS),
            channel="reasoning" if prelude and prelude.thought == "open" else "content",
            parse_tools=True,
        )  # fmt: skip
        assembler = StreamAssembler(request, table, prompt_tokens=1)
        assembler.push(sink.ids)
        assembler.finish(sink.ends[0].reason)
        chunk = assembler.take()
        texts = {"content": "", "reasoning": ""}
        for segment in chunk.segments:
            texts[segment.channel] += segment.data.decode()
        return texts["content"], texts["reasoning"], chunk.tool_calls, chunk.finish_reason

    return get


def fits_schema(text: str) -> bool:
    jsonschema.validate(json.loads(text), SCHEMA)
    return True


def test_the_model_calls_instead(
    answer: Callable[..., tuple[str, str, tuple[ToolCall, ...], str]],
) -> None:
    content, reasoning, calls, reason = answer(DECLARED + NO_THOUGHT, Prelude("none", TOOLS))
    assert (content, reasoning, reason) == ("", "", "tool_calls")
    assert [(c.name, json.loads(c.arguments)) for c in calls] == [
        ("get_weather", {"city": "Paris"})
    ]


def test_the_model_thinks_and_calls(
    answer: Callable[..., tuple[str, str, tuple[ToolCall, ...], str]],
) -> None:
    prompt = DECLARED.replace("system\n", "system\n<|think|>\n")
    content, reasoning, calls, reason = answer(prompt, Prelude("may", TOOLS))
    assert reasoning and (content, reason) == ("", "tool_calls")
    assert [c.name for c in calls] == ["get_weather"]


def test_the_form_without_calls(
    answer: Callable[..., tuple[str, str, tuple[ToolCall, ...], str]],
) -> None:
    content, reasoning, calls, reason = answer(QUESTION, None)
    assert (reasoning, calls, reason) == ("", [], "stop") and fits_schema(content)
    banned = (48,)  # the call's marker: the model may call, and does not
    content, reasoning, calls, reason = answer(
        QUESTION, Prelude("none", TOOLS), bad_token_ids=banned
    )
    assert (reasoning, calls, reason) == ("", [], "stop") and fits_schema(content)


def test_a_thought_and_then_the_form(
    answer: Callable[..., tuple[str, str, tuple[ToolCall, ...], str]],
) -> None:
    prompt = QUESTION.replace("<bos>", "<bos><|turn>system\n<|think|>\n<turn|>\n")
    content, reasoning, calls, reason = answer(prompt, Prelude("may", ()))
    assert reasoning and (calls, reason) == ([], "stop") and fits_schema(content)


def test_the_rest_of_a_thought_and_then_the_form(
    answer: Callable[..., tuple[str, str, tuple[ToolCall, ...], str]],
) -> None:
    prompt = QUESTION + "<|channel>thought\nThe user"
    content, reasoning, calls, reason = answer(prompt, Prelude("open", ()))
    assert reasoning and (calls, reason) == ([], "stop") and fits_schema(content)


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_guide_beside_tools(
    answer: Callable[..., tuple[str, str, tuple[ToolCall, ...], str]], form: Any
) -> None:
    kind, guide, _, _ = FORMS[form]
    content, _, calls, reason = answer(
        QUESTION, Prelude("may", TOOLS), guided=GuidedDecoding(kind, guide), max_tokens=200,
        bad_token_ids=(48, 100),
    )  # fmt: skip
    assert not calls and reason in ("stop", "length") and content


def test_what_needs_xgrammar_is_refused(
    checkpoint: Path, table: TokenTable, tmp_path: Path, encode: Callable[[str], list[int]]
) -> None:
    folder = tmp_path / "engine"
    engine = load_tensorrt_llm(checkpoint, table, folder, guided_decoding_backend="llguidance")
    with pytest.raises(RequestError, match="xgrammar"):
        ask(engine, encode(QUESTION), guided=GUIDED, prelude=Prelude("may", ()))
    engine.close()
