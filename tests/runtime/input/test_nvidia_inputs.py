"""Requests to NVIDIA's ensemble: every input of theirs, their defaults, batches of prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.contract.nvidia_models import NVIDIA_MODELS, OVERLAY, Shaped
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.input.nvidia import MOST_ANSWERS, nvidia_parts
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.limits import Limits
from gemma4_testing.cases.nvidia_inputs import THEIRS, Theirs, array, request
from hypothesis import given
from hypothesis import strategies as st

Prepare = Callable[[dict[str, Any]], object]
TAKEN = [(theirs, value) for theirs in THEIRS for value in theirs.taken]
REFUSED = [(theirs, value) for theirs in THEIRS for value in theirs.refused]
NAMED = {theirs.name: theirs for theirs in THEIRS}


@pytest.fixture(scope="module")
def prepare_values(checkpoint: Path) -> Prepare:
    preparer = Preparer(
        checkpoint,
        limits=Limits(max_prompt_tokens=2047, max_total_tokens=2048),
        capabilities=CAPABILITIES["llama_cpp"],
    )
    return lambda values: preparer.prepare_values(values, request_id="", key="k", now=0.0)


def test_the_overlay_has_every_input_with_its_type_and_shape() -> None:
    for model in OVERLAY:
        ours = {tensor.name: tensor for tensor in NVIDIA_MODELS[model].inputs}
        assert set(ours) == {*NAMED, "random_seed"}  # the older name of seed
        for theirs in THEIRS:
            tensor = ours[theirs.name]
            assert isinstance(tensor, Shaped)
            assert tensor.wire_type == theirs.wire
            assert len(tensor.shape) == 1 + len(theirs.dims), theirs.name
            for found, asked in zip(tensor.shape, (-1, *theirs.dims), strict=True):
                assert found in (asked, -1), theirs.name
    assert all(theirs.taken or theirs.refused for theirs in THEIRS)


def refusal(theirs: Theirs, value: Any, prepare: Prepare) -> RequestError:
    with pytest.raises(RequestError) as caught:
        for part in nvidia_parts(request(theirs, value)):
            prepare(part.values)
    return caught.value


@pytest.mark.parametrize(("theirs", "value"), TAKEN, ids=lambda x: str(getattr(x, "name", x)))
def test_what_is_taken(theirs: Theirs, value: Any, prepare_values: Prepare) -> None:
    parts = nvidia_parts(request(theirs, value))
    assert len(parts) == (value if theirs.name == "num_return_sequences" else 1)
    for part in parts:
        prepare_values(part.values)


@pytest.mark.parametrize(
    ("theirs", "value"), REFUSED, ids=lambda x: str(getattr(x, "name", x))[:40]
)
def test_what_is_refused_is_named(theirs: Theirs, value: Any, prepare_values: Prepare) -> None:
    error = refusal(theirs, value, prepare_values)
    assert error.status is Status.INVALID_ARGUMENT
    assert error.message.startswith(theirs.name)
    assert error.field is not None and error.field.startswith(theirs.name)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, (1, 1.0)),
        ({"top_k": 0, "top_p": 0.0}, (1, 1.0)),
        ({"top_k": 5}, (5, 1.0)),
        ({"top_k": 5, "top_p": 0.0}, (5, 1.0)),
        ({"top_p": 0.5}, (0, 0.5)),
        ({"top_k": 5, "top_p": 0.5}, (5, 0.5)),
        ({"temperature": 0.3}, (1, 1.0)),
    ],
)
def test_sampling_that_nobody_asked_for(given: dict[str, Any], meant: tuple[int, float]) -> None:
    """Greedy, whatever the checkpoint's own defaults are."""
    (part,) = nvidia_parts({
        **request(NAMED["max_tokens"], 3), **{n: array(NAMED[n], v) for n, v in given.items()}
    })  # fmt: skip
    values = part.values
    assert (values["top_k"], values["top_p"]) == meant
    assert values["random_seed"] == 0
    assert values["temperature"] == pytest.approx(given.get("temperature", 1.0))
    assert values["include_stop_str_in_output"] is True


@pytest.mark.parametrize("stream", [None, False, True])
@pytest.mark.parametrize("exclude", [None, False, True])
def test_the_prompt_comes_back_only_in_answers_that_are_not_streamed(
    stream: bool | None, exclude: bool | None
) -> None:
    flags = {"stream": stream, "exclude_input_in_output": exclude}
    tensors = request(NAMED["max_tokens"], 3)
    tensors |= {n: array(NAMED[n], flag) for n, flag in flags.items() if flag is not None}
    (part,) = nvidia_parts(tensors)
    assert part.values["exclude_input_in_output"] is bool(stream or exclude)


SEED = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(st.text(min_size=1), SEED), min_size=1, max_size=8), st.integers(1, 8))
def test_a_batch_has_each_prompt_as_often_as_asked(rows: list[tuple[str, int]], each: int) -> None:
    texts = np.array([[text.encode(errors="replace")] for text, _ in rows], np.object_)
    parts = nvidia_parts({
        "text_input": texts,
        "seed": np.array([[seed] for _, seed in rows], np.uint64),
        "num_return_sequences": np.full((len(rows), 1), each, np.int32),
    })  # fmt: skip
    assert [part.place for part in parts] == [(i, j) for i in range(len(rows)) for j in range(each)]
    for part in parts:
        prompt, answer = part.place
        assert part.values["text_input"] == texts[prompt, 0].decode()
        assert part.values["random_seed"] == (rows[prompt][1] + answer) % 2**64


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({}, "text_input: is missing"),
        ({"text_input": np.empty((0, 1), np.object_)}, "text_input: is empty"),
        ({"text_input": np.array([[b"a"], [b"b"]], np.object_), "top_k": np.array([[1]], np.int32)},
         "top_k: shape [1, 1] is for 1 prompts; text_input has 2"),
        ({"text_input": np.full((MOST_ANSWERS + 1, 1), b"a", np.object_)},
         "text_input: 65 prompts; at most 64"),
        ({"text_input": np.full((33, 1), b"a", np.object_),
          "num_return_sequences": np.full((33, 1), 2, np.int32)},
         "num_return_sequences: 2 is not in 1 to 1"),
        ({"text_input": np.array([[b"a", b"b"]], np.object_)}, "text_input: shape [1, 2] holds 2"),
    ],
)  # fmt: skip
def test_batches_that_cannot_be(tensors: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError) as caught:
        nvidia_parts(tensors)
    assert caught.value.message.startswith(says)
