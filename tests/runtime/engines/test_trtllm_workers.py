"""The worker processes of the TensorRT-LLM adapter: starts, losses, copies, caches, a full KV cache.
The double stands in."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.engines.tensorrt_llm.caches import cache_environment
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import WAIT_S, ask, load_tensorrt_llm, refusal, run
from gemma4_testing.waiting import wait_until

LONG: dict[str, Any] = {"max_tokens": 1900, "min_tokens": 1900}


def worker_pids(engine: Any) -> list[int]:
    return [replica._process.pid for replica in engine._replicas]


def test_drain_and_close(load: Callable[..., Any], encode: Callable[[str], list[int]]) -> None:
    engine = load(slots=1)
    (pid,) = worker_pids(engine)
    running = ask(engine, encode("Hello"), key="a", max_tokens=300, min_tokens=300)
    long = ask(engine, encode("Hello"), key="b", **LONG)
    engine.drain()
    with pytest.raises(RequestError, match="draining"):
        ask(engine, encode("Hello"), key="c")
    assert running.wait().reason == "length"
    assert long.first.wait(WAIT_S)
    engine.close()
    assert long.wait().reason == "cancelled"
    assert not psutil.pid_exists(pid)


def test_copies_share_the_load(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(slots=1, gpus="0;2")
    assert engine.info.slots == 2
    shown = [psutil.Process(pid).environ()["CUDA_VISIBLE_DEVICES"] for pid in worker_pids(engine)]
    assert shown == ["0", "2"]
    sinks = [ask(engine, encode("Hello"), key=f"k{i}", **LONG) for i in range(3)]
    assert sinks[0].first.wait(WAIT_S) and sinks[1].first.wait(WAIT_S)
    assert (engine.stats().active, engine.stats().queued) == (2, 1)
    for i in range(3):
        engine.cancel(f"k{i}")
    assert {sink.wait().reason for sink in sinks} == {"cancelled"}


@pytest.mark.parametrize(
    ("env", "kill"),
    [
        ({"TRTLLM_DOUBLE_FAULT": "die_at=5"}, False),
        ({"TRTLLM_DOUBLE_FAULT": "mute_at=5"}, False),
        ({"TRTLLM_DOUBLE_FAULT": "kill_at=5"}, False),
        ({}, True),
    ],
    ids=["dies", "dies in silence", "exits", "killed"],
)
def test_a_lost_engine_fails_everything(
    load: Callable[..., Any], encode: Callable[[str], list[int]], env: dict[str, str], kill: bool
) -> None:
    engine = load(env=env)
    sinks = [ask(engine, encode("Hello"), key=f"k{i}", **LONG) for i in range(4)]
    assert sinks[0].first.wait(WAIT_S)
    if kill:
        os.kill(worker_pids(engine)[0], signal.SIGKILL)
    ends = [sink.wait() for sink in sinks]
    assert all(isinstance(end, RequestError) and end.status is Status.INTERNAL for end in ends)
    assert {end.code for end in ends} == {Code.ENGINE_LOST}
    assert engine.stats().lost
    assert (engine.stats().active, engine.stats().queued) == (0, 0)
    with pytest.raises(RequestError, match="lost") as caught:
        ask(engine, encode("Hello"))
    assert caught.value.status is Status.UNAVAILABLE
    assert caught.value.code == Code.ENGINE_RESTARTING


def test_one_request_fails_and_the_others_go_on(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(env={"TRTLLM_DOUBLE_FAULT": "fail_at=20"})
    other = ask(engine, encode("Hello"), key="other", max_tokens=19, min_tokens=19)
    end = refusal(engine, encode("Hello"), max_tokens=30, min_tokens=30)
    assert end.status is Status.INTERNAL and "injected" in end.message
    assert other.wait().reason == "length"
    assert not engine.stats().lost


NO_REUSE: dict[str, Any] = {"enable_block_reuse": False, "enable_partial_reuse": False}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"env": {"TRTLLM_DOUBLE_VERSION": "1.4.0rc1"}}, "built for 1.3.0rc29; install"),
        ({"env": {"TRTLLM_DOUBLE_FAULT": "start_error=CUDA out of memory"}}, "CUDA out of memory"),
        ({"env": {"TRTLLM_DOUBLE_GPUS": "0"}}, "No CUDA GPUs"),
        ({"tp": 2, "env": {"TRTLLM_DOUBLE_GPUS": "1"}}, "2 are required"),
        ({"tp": 2, "env": {"CUDA_VISIBLE_DEVICES": "3"}}, "2 GPUs .* 1 are visible"),
        ({"tp": 2, "gpus": "0;1"}, "name that many in each set"),
        ({"gpus": "0;0"}, "named twice"),
        ({"gpus": "0;x"}, "'x' is no GPU"),
        ({"gpus": "0;9"}, "No CUDA GPUs"),
        ({"env": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}}, "cannot be imported"),
        ({"max_batch_size": 1, "cuda_graph_config": None}, "max_batch_size: 1 is less"),
        ({"max_seq_len": 1500, "kv_cache_config": NO_REUSE}, "max_seq_len: 1500 is less"),
    ],
)  # fmt: skip
def test_starts_that_fail_say_why(
    load: Callable[..., Any], options: dict[str, Any], says: str
) -> None:
    before = psutil.Process().children(recursive=True)
    with pytest.raises(RuntimeError, match=says):
        load(**options)
    assert psutil.Process().children(recursive=True) == before


SMALL_POOL = {"TRTLLM_DOUBLE_KV_TOKENS": "1000"}
"""Half of what the longest request takes, with two running."""
HALF: dict[str, Any] = {"max_tokens": 900, "min_tokens": 900}


def test_a_full_pool_is_no_deadlock_as_we_write_the_arguments(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(env=SMALL_POOL)
    sinks = [ask(engine, encode("Hello"), key=f"k{i}", **HALF) for i in range(3)]
    assert {sink.wait().reason for sink in sinks} == {"length"}
    assert not engine.stats().lost


def test_a_full_pool_without_host_memory_is_a_deadlock(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(env=SMALL_POOL, kv_cache_config=NO_REUSE | {"host_cache_size": 0})
    sinks = [ask(engine, encode("Hello"), key=f"k{i}", **HALF) for i in range(2)]
    ends = [sink.wait() for sink in sinks]
    assert {end.code for end in ends} == {Code.ENGINE_LOST}
    assert "V2 scheduler deadlock" in ends[0].message


def test_kv_cache_figures(load: Callable[..., Any], encode: Callable[[str], list[int]]) -> None:
    engine = load(slots=1, max_total_tokens=2000)
    sink = ask(engine, encode("Count from 1 to 100"), **LONG)
    wait_until(lambda: engine.stats().kv_blocks_used >= 2, WAIT_S)  # more than 32 tokens
    assert engine.stats().kv_blocks_used <= engine.stats().kv_blocks == 63
    engine.cancel("k")
    assert sink.wait().reason == "cancelled"
    wait_until(lambda: engine.stats().kv_blocks_used == 0, WAIT_S)
    assert engine.stats().kv_blocks == 63


def test_workers_get_cache_folders(
    load: Callable[..., Any], encode: Callable[[str], list[int]], tmp_path: Path
) -> None:
    engine = load(cache_dir=tmp_path / "cache", gpus="0;1", slots=1)
    environs = [psutil.Process(pid).environ() for pid in worker_pids(engine)]
    paths = {env["TLLM_AUTOTUNER_CACHE_PATH"] for env in environs}
    assert len(environs) == 2 and len(paths) == 1
    (folder,) = (tmp_path / "cache").iterdir()
    assert paths == {str(folder / "autotuner.json")} and "1.3.0rc29" in folder.name
    for env in environs:
        assert env.items() >= cache_environment(folder).items()
        assert Path(env["TRITON_CACHE_DIR"]).parent == folder
        assert Path(env["TORCHINDUCTOR_CACHE_DIR"]).parent == folder
    assert run(engine, encode("hello")).ids


def test_a_cache_that_cannot_be_written(load: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match=r"GEMMA4_CACHE_DIR=.*cannot be written"):
        load(cache_dir=tmp_path / "file")


def test_an_edited_file_is_checked(checkpoint: Path, table: TokenTable, tmp_path: Path) -> None:
    folder = tmp_path / "e"
    load_tensorrt_llm(checkpoint, table, folder).close()
    file = folder / "llm_args.yaml"
    text = file.read_text()
    file.write_text(text.replace("enable_block_reuse: false", "enable_block_reuse: true"))
    with pytest.raises(RuntimeError, match=r"llm_args.yaml: kv_cache_config.enable_block_reuse"):
        create_engine(folder, read_manifest(folder), table, Settings(folder, folder))
    file.write_text(text)
    shutil.rmtree(folder / "checkpoint")
    with pytest.raises(RuntimeError, match=r"model: .*is no checkpoint"):
        create_engine(folder, read_manifest(folder), table, Settings(folder, folder))


def test_another_version_can_be_tried(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(env={"TRTLLM_DOUBLE_VERSION": "1.4.0rc1"}, any_version=True)
    assert engine.info.version == "1.4.0rc1"
    run(engine, encode("Hello"), max_tokens=2)
