"""A real server over the TensorRT-LLM adapter. The double stands for TensorRT-LLM; it decodes the
demo in float32, as the engine that the answers are compared with does."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from gemma4_client import CancelledError, Client, Gemma4Error, InvalidRequestError, UnavailableError
from gemma4_runtime.errors import Code
from gemma4_runtime.server.board import Field
from gemma4_testing.engine_folders.trtllm_folder import double_env, make_folder
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.process_tree import find_processes
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until

CANCEL_S = 0.5
ASKED = ["What is the capital of France?", "Count from 1 to 20", "What is 7 + 8?", "🌊 Hello"]
LONG = {"min_tokens": 1800, "max_tokens": 1800}


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trtllm") / "engine"
    return make_folder(checkpoint, out, slots=4, max_queued=2, max_total_tokens=2048)


@pytest.fixture(scope="module")
def trtllm(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(folder, tmp_path_factory.mktemp("run"), env=double_env())
    yield served
    assert served.stop() == 0, "".join(served.output[-30:])


def long_stream(client: Client, **options: Any) -> Any:
    stream = client.chat(user("Count from 1 to 100"), temperature=0.0, **(LONG | options))
    iterator = iter(stream)
    next(iterator)
    stream.iterator = iterator  # type: ignore[attr-defined]
    return stream


def workers(served: Served) -> list[psutil.Process]:
    name = "gemma4_runtime.engines.tensorrt_llm.worker"
    return find_processes(served.process.pid, lambda p: name in p.cmdline())


def alive(process: psutil.Process) -> bool:
    """A zombie is not: an orphan's parent may take its time to notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_answers_are_those_of_llama_cpp(trtllm: Served, server: Served) -> None:
    with trtllm.client() as ours, server.client() as theirs, ThreadPoolExecutor(4) as pool:
        options: dict[str, Any] = {"temperature": 0.0, "max_tokens": 48, "return_log_probs": True}
        answers = list(pool.map(lambda t: ours.chat(user(t), **options).result(), ASKED))
        expected = [theirs.chat(user(text), **options).result() for text in ASKED]
    for answer, other in zip(answers, expected, strict=True):
        assert answer.ids == other.ids
        assert answer.text == other.text
        assert answer.finish_reason == other.finish_reason
        assert answer.log_probs == pytest.approx(other.log_probs, abs=1e-3)


def test_whole_streamed_and_guided(trtllm: Served) -> None:
    with trtllm.client() as client:
        streamed = "".join(d.text for d in client.chat(user(ASKED[0]), temperature=0.0))
        whole = client.chat(user(ASKED[0]), temperature=0.0, stream=False).result()
        assert streamed == whole.text
        guided = client.chat(
            user("Hi"), guided_decoding_guide_type="regex", guided_decoding_guide="[0-9]{3}"
        ).result()
        assert guided.text.isdigit() and len(guided.text) == 3
        with pytest.raises(InvalidRequestError, match="guided_decoding_guide"):
            client.chat(
                user("Hi"), guided_decoding_guide_type="grammar", guided_decoding_guide="nonsense"
            ).result()
        with pytest.raises(InvalidRequestError, match=r"bad_words\[0\]"):
            client.chat(user("Hi"), bad_words=["zqxj zqxj"]).result()


def test_cancel_frees_the_slot(trtllm: Served) -> None:
    with trtllm.client() as client:
        for _ in range(5):
            stream = long_stream(client)
            stream.cancel()
            wait_until(trtllm.idle, CANCEL_S)
            with pytest.raises(CancelledError):
                list(stream.iterator)


def test_overload_is_refused_and_recovers(trtllm: Served) -> None:
    with trtllm.client() as client:
        streams = [long_stream(client) for _ in range(4)]
        waiting = [client.chat(user("Hello"), max_tokens=3) for _ in range(2)]
        wait_until(lambda: trtllm.board()[Field.IN_FLIGHT] == 6, 5)
        with pytest.raises(UnavailableError, match="retry later"):
            client.chat(user("Hello"), max_tokens=3).result()
        for stream in streams:
            stream.cancel()
        assert all(answer.result().completion_tokens <= 3 for answer in waiting)
        wait_until(trtllm.idle, 5)


def test_drain(folder: Path, tmp_path: Path) -> None:
    served = Served(folder, tmp_path / "run", env=double_env())
    children = workers(served)
    assert len(children) == 1
    with served.client() as client:
        stream = long_stream(client)
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: served.board()[Field.DRAINING] == 1, 5)
        with pytest.raises(UnavailableError, match=r"draining|no model ready|[Ss]erver exiting"):
            client.chat(user("Hello"), max_tokens=3).result()
        list(stream.iterator)
        assert stream.answer.completion_tokens == LONG["max_tokens"]
    assert served.process.wait(30) == 0
    assert not any(map(alive, children))


def how_it_ends(stream: bool) -> str:
    try:
        last = list(stream.iterator)[-1]  # type: ignore[attr-defined]
    except Gemma4Error as error:
        return "lost" if error.code == Code.ENGINE_LOST else str(error)
    return "whole" if last.completion_tokens == LONG["max_tokens"] else "cut"


def two_running(served: Served, client: Client, copies: list[psutil.Process]) -> list[Any]:
    """Start two long answers, and stop the copies of the model before either is whole."""
    for _ in range(5):
        streams = [long_stream(client) for _ in copies]
        for copy in copies:
            copy.suspend()
        if served.counted(Field.ACTIVE) == len(streams):
            return streams
        for copy in copies:
            copy.resume()
        for stream in streams:
            stream.cancel()
        wait_until(served.idle, 20)
    raise AssertionError("an answer was always whole before the other had begun")


def test_a_lost_worker_ends_streams_and_the_server_recovers(folder: Path, tmp_path: Path) -> None:
    args = ("--gpu-device-ids", "0;1")
    served = Served(folder, tmp_path / "run", *args, env=double_env())
    assert "8 slots, 2 copies of the model on GPUs 0;1" in "".join(served.output)
    children = workers(served)
    assert [c.environ()["CUDA_VISIBLE_DEVICES"] for c in children] == ["0", "1"]
    with served.client() as client:
        streams = two_running(served, client, children)
        children[0].kill()
        children[1].resume()
        ends = [how_it_ends(stream) for stream in streams]
        # The other copy has two seconds to end its answer.
        assert ends[0] == "lost" or ends[1] == "lost", ends
        assert set(ends) <= {"lost", "whole"}, ends
        served.wait_for("Ctrl-C stops", times=2)
        with served.client() as fresh:
            assert fresh.chat(user("Hello"), max_tokens=3).result().completion_tokens <= 3
    assert "engine_lost" in "".join(served.output)
    assert not any(map(alive, children))
    assert served.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        (["--gpu-device-ids", "0,1"], {}, "tensor_parallel_size"),
        (["--gpu-device-ids", "0;0"], {}, "named twice"),
        (["--threads", "2"], {}, "--threads"),
        (["--slots", "5"], {}, "max_batch_size"),
        ([], {"CUDA_VISIBLE_DEVICES": ""}, "0 are visible"),
        ([], {"TRTLLM_DOUBLE_GPUS": "0"}, "No CUDA GPUs"),
        ([], {"TRTLLM_DOUBLE_VERSION": "1.4.0"}, "built for 1.3.0rc29"),
        ([], {"TRTLLM_DOUBLE_FAULT": "start_error=out of memory"}, "out of memory"),
    ],
)  # fmt: skip
def test_a_start_that_cannot_work(
    folder: Path, arguments: list[str], env: dict[str, str], says: str
) -> None:
    ran = subprocess.run(
        [GEMMA4, "serve", "--engine", folder, "--http-port", "0", "--grpc-port", "0",
         "--metrics-port", "0", *arguments],
        capture_output=True, text=True, timeout=60, env=os.environ | double_env() | env,
    )  # fmt: skip
    assert ran.returncode == 1
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
