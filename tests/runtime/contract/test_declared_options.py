"""A declared sampling option reaches both engines by every way, and its range is kept on the way.

Nothing here names an option: a new one is tested as soon as it is declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from gemma4_client.wire import build_request
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.declared import PASSED_ON
from gemma4_gateway.translate.options import sampling_options
from gemma4_runtime.capabilities import CAPABILITIES, Capabilities
from gemma4_runtime.contract.inputs import INPUT, INPUTS, SAMPLING
from gemma4_runtime.contract.tensors import Input, SamplingOption
from gemma4_runtime.engines.llama_cpp.payload import payload
from gemma4_runtime.engines.tensorrt_llm.sampling import sampling_arguments
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.input.sampling import Defaults, sampling_params
from gemma4_runtime.input.tensors import read_inputs
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from pydantic import ValidationError

ARRAYS = {"STRING": np.object_, "BOOL": np.bool_, "INT32": np.int32, "INT64": np.int64,
          "UINT64": np.uint64, "FP32": np.float32}  # fmt: skip
DEFAULTS = Defaults((1,), {option.name: option.default for option in SAMPLING})
OPTIONS = pytest.mark.parametrize("option", SAMPLING, ids=lambda option: option.name)


def params(
    values: Mapping[str, Any], capabilities: Capabilities = CAPABILITIES["llama_cpp"]
) -> SamplingParams:
    return sampling_params(
        values, prompt_tokens=1, limits=Limits(10, 20), defaults=DEFAULTS, vocab_size=100,
        capabilities=capabilities, encode=lambda text: [2], reach=100,
    )  # fmt: skip


def to_llama_cpp(sampling: SamplingParams) -> dict[str, Any]:
    request = GenerationRequest("k", [1], sampling)
    return payload(
        request, answer=[], max_tokens=1, banned=(), bias={}, grammar=None, window=1
    )  # fmt: skip


def to_tensorrt_llm(sampling: SamplingParams) -> dict[str, Any]:
    return sampling_arguments(sampling, prompt_tokens=1, max_tokens=1, pad_id=0)


@pytest.mark.parametrize("tensor", INPUTS, ids=lambda tensor: tensor.name)
def test_an_example_can_be_read_and_sent(tensor: Input) -> None:
    array = np.array([tensor.example], dtype=ARRAYS[tensor.dtype])
    value = [*tensor.example] if tensor.many else tensor.example[0]
    assert read_inputs({tensor.name: array})[tensor.name] == pytest.approx(value)
    (sent,) = build_request({tensor.name: value}).inputs
    assert (sent.name, sent.datatype) == (tensor.name, tensor.wire_type)
    assert tensor.help.endswith((".", ")"))


@OPTIONS
@pytest.mark.parametrize(
    ("runtime", "words"), [("llama_cpp", to_llama_cpp), ("tensorrt_llm", to_tensorrt_llm)]
)
def test_an_engine_uses_it_or_refuses_it(
    option: SamplingOption, runtime: str, words: Callable[[SamplingParams], dict[str, Any]]
) -> None:
    (example,) = option.example
    assert example != option.default
    if option.name in CAPABILITIES[runtime].lacks:
        with pytest.raises(RequestError, match=f"^{option.name}: "):
            params({option.name: example}, CAPABILITIES[runtime])
        return
    other = params({option.name: example}, CAPABILITIES[runtime])
    assert getattr(other, option.param) == example
    seeded = msgspec.structs.replace(other, seed=other.seed or 3)
    assert words(seeded) != words(params({"random_seed": 3}))


@OPTIONS
def test_the_ends_of_its_range(option: SamplingOption) -> None:
    for value, inside in cases(option):
        if inside:
            assert getattr(params({option.name: value}), option.param) == value
            continue
        with pytest.raises(RequestError, match=f"^{option.name}: .* must be ") as caught:
            params({option.name: value})
        assert caught.value.status is Status.INVALID_ARGUMENT


def cases(option: Input) -> Iterator[tuple[float, bool]]:
    """Values at the declared ends and just beyond."""
    allowed = option.range
    if allowed.least is not None:
        yield allowed.least, True
        yield allowed.least - 1, False
    if allowed.above is not None:
        yield allowed.above, False
        yield allowed.above + 1e-6, True
    if allowed.most is not None:
        yield allowed.most, True
        yield allowed.most + 1, False


@OPTIONS
def test_a_runtime_that_lacks_it_refuses_it(option: SamplingOption) -> None:
    without = dataclasses.replace(CAPABILITIES["llama_cpp"], lacks={option.name: "it cannot"})
    with pytest.raises(RequestError, match=f"^{option.name}: it cannot"):
        params({option.name: option.example[0]}, without)
    assert params({}, without) == params({})
    if option.default is not None:
        assert params({option.name: option.default}, without) == params({})


@pytest.mark.parametrize("name", PASSED_ON)
def test_the_gateway_passes_it_on(name: str) -> None:
    def body(value: Any) -> ChatCompletionRequest:
        message = {"role": "user", "content": "x"}
        return ChatCompletionRequest.model_validate(
            {"model": "m", "messages": [message], name: value}
        )

    (example,) = INPUT[name].example
    assert sampling_options(body(example), max_tokens=None) == {name: example}
    for value, inside in cases(INPUT[name]):
        if inside:
            assert getattr(body(value), name) == value
        else:
            with pytest.raises(ValidationError, match=name):
                body(value)
