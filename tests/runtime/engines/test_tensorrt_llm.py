"""What only the TensorRT-LLM adapter has: workers, starts, losses, MTP. The double stands in."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.engines.tensorrt_llm.caches import cache_environment
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GuidedDecoding
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import EOS, WAIT_S, ask, load_tensorrt_llm, refusal, run
from gemma4_testing.waiting import wait_until

HOT: dict[str, Any] = {"temperature": 5.0, "top_k": 0, "top_p": 1.0}
LONG: dict[str, Any] = {"max_tokens": 1900, "min_tokens": 1900}


def worker_pids(engine: Any) -> list[int]:
    return [replica._process.pid for replica in engine._replicas]


@pytest.fixture
def load(checkpoint: Path, table: TokenTable, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Engines that are closed afterwards."""
    made: list[Any] = []

    def start(**options: Any) -> Any:
        folder = tmp_path / f"engine-{len(made)}"
        gpus = options.pop("gpus", None)
        any_version = options.pop("any_version", False)
        settings = Settings(
            folder, folder, gpu_device_ids=gpus, trtllm_any_version=any_version,
            cache_dir=options.pop("cache_dir", None),
        )  # fmt: skip
        engine = load_tensorrt_llm(checkpoint, table, folder, settings=settings, **options)
        made.append(engine)
        return engine

    yield start
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def shared(
    checkpoint: Path, table: TokenTable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    engine = load_tensorrt_llm(checkpoint, table, tmp_path_factory.mktemp("shared") / "engine")
    yield engine
    engine.close()


def test_the_tokens_of_llama_cpp(
    shared: Engine,
    checkpoint: Path,
    table: TokenTable,
    encode: Callable[[str], list[int]],
    tmp_path: Path,
) -> None:
    build_engine(
        BuildRequest(
            checkpoint=checkpoint, out=tmp_path / "e", precision="f32", slots=2,
            max_total_tokens=2000, skip_verify=True,
        ),
        SilentReporter(),
    )  # fmt: skip
    settings = Settings(tmp_path / "e", tmp_path, threads=1)
    other = create_engine(tmp_path / "e", read_manifest(tmp_path / "e"), table, settings)
    for text in ("Hello", "Count from 1 to 50", "What is 7 + 8?"):
        for options in ({}, {"min_tokens": 30, "max_tokens": 40, "log_probs": True}):
            ours, theirs = run(shared, encode(text), **options), run(other, encode(text), **options)
            assert ours.ids == theirs.ids
            assert ours.log_probs == pytest.approx(theirs.log_probs, abs=1e-3)
            assert ours.ends[0].reason == theirs.ends[0].reason
    other.close()


def test_without_a_seed_answers_differ(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    """They share one generator, which goes on."""
    answers = {tuple(run(shared, encode("Hi"), **HOT).ids) for _ in range(3)}
    assert len(answers) == 3


def test_a_seed_is_reproducible_alone_and_not_beside_others(
    shared: Engine, encode: Callable[[str], list[int]]
) -> None:
    """What the docs say of this runtime, and why the SDK's cache keeps no such answer."""
    alone = run(shared, encode("Hi"), seed=7, **HOT).ids
    assert run(shared, encode("Hi"), seed=7, **HOT).ids == alone
    beside = ask(shared, encode("Hi"), key="first", seed=3, **(HOT | LONG))
    assert beside.first.wait(WAIT_S)
    assert run(shared, encode("Hi"), key="second", seed=7, **HOT).ids != alone
    shared.cancel("first")
    beside.wait()


def test_penalties_and_filters_arrive(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    ids = encode("Count from 1 to 50")
    plain = run(shared, ids, max_tokens=40).ids
    assert run(shared, ids, max_tokens=40, repetition_penalty=5.0).ids != plain
    assert run(shared, ids, max_tokens=40, frequency_penalty=2.0, presence_penalty=2.0).ids != plain
    narrow = {"temperature": 2.0, "top_k": 1, "top_p": 1.0}
    assert run(shared, ids, max_tokens=40, **narrow).ids == plain
    assert run(shared, ids, max_tokens=40, temperature=1.0, top_k=0, min_p=1.0).ids == plain


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bad_sequences": ((300, 301),)}, "bad_words: .* single token ids"),
        ({"guided": GuidedDecoding("json"), "min_tokens": 3}, "min_tokens: .* guide"),
        ({"guided": GuidedDecoding("grammar", "%llguidance {}\nstart: /a/")}, "GBNF"),
    ],
)
def test_what_the_api_cannot_say(
    shared: Engine, encode: Callable[[str], list[int]], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        ask(shared, encode("Hi"), **options)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert shared.stats().active == 0


def test_a_request_that_the_executor_refuses(shared: Engine) -> None:
    end = refusal(shared, [2, 5_000_000], max_tokens=1)
    assert end.status is Status.INTERNAL and "out of range" in end.message
    end = refusal(shared, [2] * 2000, max_tokens=1)
    assert "max_seq_len" in end.message
    run(shared, [2], max_tokens=1)


def test_deltas_come_in_steps_of_stream_interval(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(stream_interval=4)
    ids = encode("Count from 1 to 50")
    batches = []
    sink = ask(engine, ids, max_tokens=30)
    sink.tokens = lambda new, log_probs: batches.append(len(new))  # type: ignore[assignment, method-assign]
    assert sink.wait().reason == "length"
    assert sum(batches) in (29, 30)  # the first may have come before
    assert max(batches) == 4
    assert run(engine, encode("What is the capital of France?"), max_tokens=100).ids[-1] == 106


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
    assert eventually(lambda: engine.stats().kv_blocks_used >= 2)  # more than 32 tokens
    assert engine.stats().kv_blocks_used <= engine.stats().kv_blocks == 63
    engine.cancel("k")
    assert sink.wait().reason == "cancelled"
    assert eventually(lambda: engine.stats().kv_blocks_used == 0)
    assert engine.stats().kv_blocks == 63


def test_figures_of_drafts(
    load: Callable[..., Any], encode: Callable[[str], list[int]], checkpoint: Path, tmp_path: Path
) -> None:
    engine = load(**mtp(checkpoint, tmp_path))
    assert engine.info.speculative
    sink = ask(engine, encode("Count from 1 to 100"), max_tokens=101)
    assert sink.wait().reason == "length"
    # Of 100 tokens after the first: drafts of 3, with 0, 1, 2, 3, 0, ... of them accepted.
    assert eventually(lambda: engine.stats().drafts == 40)
    found = engine.stats()
    assert (found.draft_tokens, found.accepted_tokens) == (120, 60)


def test_without_an_assistant_nothing_drafts(shared: Engine) -> None:
    assert not shared.info.speculative and shared.stats().drafts == 0


def eventually(condition: Callable[[], object]) -> bool:
    wait_until(condition, WAIT_S)
    return True


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


def mtp(checkpoint: Path, tmp_path: Path, **options: Any) -> dict[str, Any]:
    """Arguments with an assistant; the demo plays its part."""
    assistant = tmp_path / "assistant"
    shutil.copytree(checkpoint, assistant)
    config = {
        "decoding_type": "MTP", "max_draft_len": 3, "mtp_eagle_one_model": True,
        "speculative_model": str(assistant),
    }  # fmt: skip
    return {"speculative_config": config | options, "guided_decoding_backend": None}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"guided": GuidedDecoding("json")}, "guided_decoding_guide_type"),
        ({"repetition_penalty": 1.1}, "repetition_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"min_tokens": 4}, "min_tokens"),
        ({"bad_token_ids": (300,)}, "bad_words"),
    ],
)
def test_limits_of_mtp(
    load: Callable[..., Any],
    checkpoint: Path,
    tmp_path: Path,
    encode: Callable[[str], list[int]],
    options: dict[str, Any],
    field: str,
) -> None:
    engine = load(**mtp(checkpoint, tmp_path))
    with pytest.raises(RequestError, match=f"{field}: .*MTP"):
        ask(engine, encode("Hello"), **options)
    assert run(engine, encode("Hello"), max_tokens=5, temperature=1.0, seed=3).ids


def test_mtp_with_penalties(
    load: Callable[..., Any], checkpoint: Path, tmp_path: Path, encode: Callable[[str], list[int]]
) -> None:
    engine = load(**mtp(checkpoint, tmp_path, enable_penalty=True))
    run(engine, encode("Hello"), repetition_penalty=1.1, max_tokens=5)


def test_an_engine_without_guides_says_so(
    load: Callable[..., Any], encode: Callable[[str], list[int]]
) -> None:
    engine = load(guided_decoding_backend=None)
    with pytest.raises(RequestError, match="without guided decoding"):
        ask(engine, encode("Hello"), guided=GuidedDecoding("json"))


def test_stops_are_the_requests_own(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    ids = encode("Count from 1 to 50")
    plain = run(shared, ids).ids
    third = next(i for i in plain if plain.index(i) == 2)
    sink = run(shared, ids, stop_token_ids=(*EOS, third), log_probs=True)
    assert sink.ids == plain[:3] and sink.ends[0].reason == "stop"
    assert len(sink.log_probs) == len(sink.ids)


def test_a_cancel_is_fast(shared: Engine, encode: Callable[[str], list[int]]) -> None:
    for i in range(20):
        sink = ask(shared, encode("Hello"), key=f"fast{i}", **LONG)
        sink.first.wait(WAIT_S)
        started = time.monotonic()
        shared.cancel(f"fast{i}")
        assert sink.wait().reason == "cancelled"
        assert time.monotonic() - started < 0.25
