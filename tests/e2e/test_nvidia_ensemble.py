"""`gemma4 serve --nvidia-ensemble`: NVIDIA's models with their tensors, as their clients call and
index them."""

from __future__ import annotations

import json
import queue
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
from gemma4_runtime.contract.nvidia_models import OVERLAY
from gemma4_runtime.server.board import Field
from gemma4_testing.cases.nvidia_inputs import THEIRS, array, request
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

NAMED = {theirs.name: theirs for theirs in THEIRS}
CITIES = {"France": "Paris", "Italy": "Rome"}
ANSWERS = [f"The capital of {country} is {city}." for country, city in CITIES.items()]
PROMPTS = [
    f"<|turn>user\nWhat is the capital of {country}?<turn|>\n<|turn>model\n"
    "<|channel>thought\n<channel|>"
    for country in CITIES
]


@pytest.fixture(scope="module")
def overlay(engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    run_dir = tmp_path_factory.mktemp("overlay")
    # The gate's own requests, which give way to a user's, are counted as cancelled too.
    without = ("--quality-gate", "off")
    served = Served(engines / "f32", run_dir, "--nvidia-ensemble", "--alias", "other", *without)
    yield served
    assert served.stop() == 0, "".join(served.output[-30:])


def tensors(prompt: str = PROMPTS[0], /, **more: Any) -> dict[str, npt.NDArray[Any]]:
    values = {"text_input": prompt, "max_tokens": 32, "beam_width": 1, "temperature": 1.0, **more}
    return {name: array(NAMED[name], value) for name, value in values.items()}


def inputs(arrays: dict[str, npt.NDArray[Any]]) -> list[triton.InferInput]:
    made = []
    for name, value in arrays.items():
        made.append(triton.InferInput(name, list(value.shape), NAMED[name].wire))
        made[-1].set_data_from_numpy(value)
    return made


def ask(
    server: Served, arrays: dict[str, npt.NDArray[Any]], model: str = "ensemble", *,
    wanted: tuple[str, ...] = ("text_output",), request_id: str = "",
) -> list[Any]:  # fmt: skip
    """Results and errors of one call, by the steps of their end-to-end client."""
    replies: Any = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        client.start_stream(lambda result, error: replies.put(error or result))
        client.async_stream_infer(
            model,
            inputs(arrays),
            outputs=[triton.InferRequestedOutput(name) for name in wanted],
            request_id=request_id,
        )
        client.stop_stream()
    return [replies.get() for _ in range(replies.qsize())]


def texts(results: list[Any]) -> list[str]:
    """Of responses without an error, indexed as they do."""
    for result in results:
        assert not isinstance(result, Exception), str(result)
        assert result.as_numpy("text_output").shape == (1,)
    return [result.as_numpy("text_output")[0].decode("utf-8") for result in results]


@pytest.mark.parametrize("model", OVERLAY)
def test_one_answer_has_the_prompt_before_it(overlay: Served, model: str) -> None:
    assert texts(ask(overlay, tensors(), model)) == [PROMPTS[0] + ANSWERS[0]]
    assert texts(ask(overlay, tensors(exclude_input_in_output=True), model)) == [ANSWERS[0]]


@pytest.mark.parametrize("model", OVERLAY)
@pytest.mark.parametrize("exclude", [False, True])
def test_a_stream_adds_up_to_the_answer_alone(overlay: Served, model: str, exclude: bool) -> None:
    asked = tensors(stream=True, exclude_input_in_output=exclude)
    pieces = texts(ask(overlay, asked, model, request_id="42"))
    assert len(pieces) > 1
    assert "".join(pieces) == ANSWERS[0]


def batch(**more: Any) -> dict[str, npt.NDArray[Any]]:
    rows = [tensors(prompt, **more) for prompt in PROMPTS]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("answers", [1, 2])
@pytest.mark.parametrize("stream", [False, True])
def test_a_batch_says_what_belongs_where(overlay: Served, stream: bool, answers: int) -> None:
    asked = batch(stream=stream, exclude_input_in_output=True, num_return_sequences=answers)
    wanted = ("text_output", "batch_index", "sequence_index")
    results = ask(overlay, asked, wanted=wanted)
    found: dict[tuple[int, int], str] = {}
    for result, text in zip(results, texts(results), strict=True):
        place = result.as_numpy("batch_index")[0][0], result.as_numpy("sequence_index")[0][0]
        found[place] = found.get(place, "") + text
    assert found == {(i, j): ANSWERS[i] for i in range(2) for j in range(answers)}
    assert (len(results) == 2 * answers) == (not stream)


def test_a_batch_with_one_bad_prompt_is_one_error(overlay: Served) -> None:
    asked = batch()
    asked["text_input"][1, 0] = b""
    (error,) = ask(overlay, asked)
    assert "text_input: is empty" in str(error)
    wait_until(overlay.idle, 10)


def test_more_prompts_than_the_server_takes(overlay: Served) -> None:
    board = overlay.board()
    most = board[Field.SLOTS] + board[Field.MAX_QUEUED]
    count = most + 1
    if count <= 64:
        asked = {name: np.repeat(value, count, axis=0) for name, value in tensors().items()}
        (error,) = ask(overlay, asked)
        assert f"text_input: needs {count} answers; this server takes {most} at once" in str(error)
    asked = {name: np.repeat(value, 65, axis=0) for name, value in tensors().items()}
    (error,) = ask(overlay, asked)
    assert "text_input: 65 prompts; at most 64" in str(error)


def test_seeds(overlay: Served) -> None:
    """The same request has the same answer, as theirs has; answers to one prompt differ."""
    hot = {"temperature": 1.5, "top_k": 50, "exclude_input_in_output": True, "max_tokens": 24}
    first, again = (texts(ask(overlay, tensors("Once", **hot))) for _ in range(2))
    assert first == again
    assert texts(ask(overlay, tensors("Once", seed=5, **hot))) != first
    several = texts(ask(overlay, tensors("Once", num_return_sequences=4, **hot)))
    assert first[0] in several
    assert len(set(several)) > 1


def test_stop_and_bad_words(overlay: Served) -> None:
    plain = {"exclude_input_in_output": True}
    assert texts(ask(overlay, tensors(stop_words=["France"], **plain))) == ["The capital of France"]
    streamed = texts(ask(overlay, tensors(stop_words=["France", ""], stream=True)))
    assert "".join(streamed) == "The capital of France"
    assert "Paris" not in texts(ask(overlay, tensors(bad_words=["Paris"], **plain)))[0]
    assert texts(ask(overlay, tensors(bad_words=[""], stop_words=[""], **plain))) == [ANSWERS[0]]


def test_end_id(overlay: Served) -> None:
    url = f"http://127.0.0.1:{overlay.http}/v2/models/gemma4_tokenizer/generate"
    with urllib.request.urlopen(url, json.dumps({"text": " France"}).encode()) as reply:
        france = json.loads(reply.read())["token_ids"][-1]
    asked = tensors(end_id=france, pad_id=0, exclude_input_in_output=True)
    assert "Paris" not in texts(ask(overlay, asked))[0]


@pytest.mark.parametrize("stream", [False, True])
def test_log_probs_have_a_dimension_for_the_beams(overlay: Served, stream: bool) -> None:
    wanted = ("text_output", "cum_log_probs", "output_log_probs", "num_output_tokens")
    results = ask(overlay, tensors(return_log_probs=True, stream=stream), wanted=wanted)
    each = [result.as_numpy("output_log_probs") for result in results]
    total = results[-1].as_numpy("cum_log_probs")
    assert total.shape == (1, 1)
    for result, logs in zip(results, each, strict=True):
        assert logs.shape == (1, 1, result.as_numpy("num_output_tokens")[0][0])
    assert np.concatenate([logs[0][0] for logs in each]).sum() == pytest.approx(total[0][0])
    (bare,) = ask(overlay, tensors(), wanted=wanted)
    assert bare.as_numpy("output_log_probs") is None


@pytest.mark.parametrize("theirs", THEIRS, ids=lambda theirs: theirs.name)
def test_every_input(overlay: Served, theirs: Any) -> None:
    """What is taken is answered, and what is not is named, through Triton."""
    for value in theirs.taken:
        assert all(texts(ask(overlay, request(theirs, value)))), value
    for value in theirs.refused:
        (error,) = ask(overlay, request(theirs, value))
        assert f'field="{theirs.name}' in str(error), value


@pytest.mark.parametrize("flag", ["return_context_logits", "return_generation_logits",
                                  "return_perf_metrics"])  # fmt: skip
def test_outputs_that_are_not_there_are_refused_by_their_input(overlay: Served, flag: str) -> None:
    wanted = ("text_output", "context_logits", "generation_logits", "kv_cache_reused_blocks")
    (error,) = ask(overlay, tensors(**{flag: True}), wanted=wanted)
    assert f"{flag}: true: " in str(error)


def generate(server: Served, model: str, body: dict[str, Any], *, stream: bool = False) -> str:
    way = "generate_stream" if stream else "generate"
    url = f"http://127.0.0.1:{server.http}/v2/models/{model}/{way}"
    try:
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=60) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        return str(json.loads(error.read())["error"])


DOCUMENTED = {"max_tokens": 20, "bad_words": "", "stop_words": "", "pad_id": 2, "end_id": 2}


@pytest.mark.parametrize("model", OVERLAY)
def test_generate(overlay: Served, model: str) -> None:
    body = {"text_input": PROMPTS[0], **DOCUMENTED}
    assert json.loads(generate(overlay, model, body))["text_output"] == PROMPTS[0] + ANSWERS[0]
    events = generate(overlay, model, {**body, "stream": True}, stream=True)
    pieces = [json.loads(line[6:])["text_output"] for line in events.splitlines() if line]
    assert "".join(pieces) == ANSWERS[0]
    said = generate(overlay, model, {**body, "lora_task": 1})
    assert "lora_task: no such input; did you mean lora_task_id?" in said
    assert "gemma4_key: " in generate(overlay, model, {**body, "gemma4_key": "00"})


@pytest.mark.parametrize("asked", [tensors("Once", max_tokens=1900, min_tokens=1900, stream=True),
                                   batch(max_tokens=1900, min_tokens=1900, stream=True)],
                         ids=["one", "batch"])  # fmt: skip
def test_a_client_that_leaves_frees_the_slots(overlay: Served, asked: dict[str, Any]) -> None:
    wait_until(overlay.idle, 10)
    board, replies = overlay.board(), queue.Queue()  # type: ignore[var-annotated]
    before = overlay.counted(Field.CANCELLED)
    with triton.InferenceServerClient(f"127.0.0.1:{overlay.grpc}") as client:
        client.start_stream(lambda result, error: replies.put(error or result))
        client.async_stream_infer("ensemble", inputs(asked))
        replies.get(timeout=30)
        wait_until(lambda: board[Field.ACTIVE] == len(asked["text_input"]), 10)
        client.stop_stream(cancel_requests=True)
    wait_until(overlay.idle, 10)
    counts = {field.name: overlay.counted(field) for field in Field}
    assert counts["CANCELLED"] == before + len(asked["text_input"]), counts


def test_tritons_timeout_reaches_the_engine(overlay: Served) -> None:
    body = {"text_input": "Once", **DOCUMENTED, "max_tokens": 1500, "min_tokens": 1400}
    assert "DEADLINE_EXCEEDED" in generate(overlay, "ensemble", {**body, "timeout": 20_000})
    wait_until(overlay.idle, 10)


def test_our_models_are_there_as_ever(overlay: Served) -> None:
    for model in ("gemma4", "other"):
        answer = json.loads(generate(overlay, model, {"text_input": PROMPTS[0], **DOCUMENTED}))
        assert answer["text_output"] == ANSWERS[0]
        assert answer["finish_reason"] == "stop"
