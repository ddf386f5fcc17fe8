"""The real preparation process: nobody waits for another's large request, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import decode_request
from gemma4_runtime.preparation.client import PreparationClient
from gemma4_runtime.preparation.owner import PreparationOwner
from gemma4_runtime.preparation.preparer import preparer_of
from gemma4_runtime.preparation.worker import ids_of
from gemma4_runtime.settings import ENGINE_DIR, RUN_DIR

QUADRATIC = """{{ bos_token }}{%- for message in messages -%}
{%- if message.content | trim == 'SPIN' -%}{%- for a in range(99999) -%}{%- for b in range(99999) -%}{%- endfor -%}{%- endfor -%}{%- endif -%}
{%- if message.content | trim == 'FILL' -%}{{ 'a' * 2000000000 }}{%- endif -%}
{%- set found = namespace(last=-1) -%}
{%- for other in messages -%}{%- if other.role == 'user' -%}{%- set found.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
<|turn>{{ message.role }}
{{ message.content | trim }}<turn|>
{% endfor -%}<|turn>model
"""  # fmt: skip
"""As a published template of Gemma 4: for each message it looks through all of them."""
LONG = [{"role": "user", "content": "a"}] * 300
"""Work for about 0.3 s by that template."""


def user(text: str) -> Any:
    return json.dumps([{"role": "user", "content": text}])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    here = tmp_path_factory.mktemp("quadratic")
    shutil.copytree(checkpoint, here / "checkpoint")
    (here / "checkpoint" / "chat_template.jinja").write_text(QUADRATIC)
    build_engine(
        BuildRequest(
            checkpoint=here / "checkpoint", out=here / "engine", runtime="synthetic",
            max_total_tokens=4096,
        ),
        SilentReporter(),
    )  # fmt: skip
    return here / "engine"


@pytest.fixture(scope="module")
def owner(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparationOwner]:
    run_dir = tmp_path_factory.mktemp("run")
    owner = PreparationOwner({ENGINE_DIR: str(folder), RUN_DIR: str(run_dir)})
    owner.run_dir = run_dir
    yield owner
    owner.close()


@pytest.fixture
def client(owner: PreparationOwner) -> Iterator[PreparationClient]:
    client = PreparationClient(owner.run_dir, on_hang=owner.kill)
    yield client
    client.close()


def ask(
    client: Any,
    values: dict[str, Any],
    *,
    kind: str = "request",
    gone: Callable[..., Any] = lambda: False,
) -> Any:
    answers: Any = SimpleQueue()
    client.ask(values, kind=kind, done=answers.put, gone=gone, key="k", now=time.monotonic())
    return answers


def answer(client: Any, values: dict[str, Any], **more: Any) -> Any:
    result = ask(client, values, **more).get(timeout=60)
    if isinstance(result, RequestError):
        raise result
    return result


def children(owner: Any) -> Any:
    return psutil.Process(owner.pid).children()


def until(true: Callable[[], object], within: float = 5.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "text", ["Hi", "long " * 3500, "日本 " * 1000], ids=["short", "long", "cjk"]
)
def test_the_request_is_that_of_the_preparer(
    client: PreparationClient, folder: Path, text: str
) -> None:
    preparer = preparer_of(folder, read_manifest(folder))
    values = {"messages": user(text), "max_tokens": 5, "timeout_ms": 60_000}
    made = decode_request(answer(client, values))
    alone = preparer.prepare_values(values, request_id="", key="k", now=made.arrival)
    assert made == alone
    assert ids_of(answer(client, {"messages": values["messages"]}, kind="tokens")) == made.input_ids


@pytest.mark.parametrize("text", ["Hi", "Hi" + " " * 30_000])
def test_refusals_are_the_same_everywhere(client: PreparationClient, text: str) -> None:
    with pytest.raises(RequestError, match="max_tokens: -1 must be at least 1") as caught:
        answer(client, {"messages": user(text), "max_tokens": -1})
    assert (caught.value.status, caught.value.field) == (Status.INVALID_ARGUMENT, "max_tokens")


def test_small_requests_do_not_wait_for_large_ones(client: PreparationClient) -> None:
    """By ratios: the machine may be busy with other things."""

    def one() -> Any:
        began = time.monotonic()
        answer(client, {"messages": user("What is 7 + 8?")})
        return time.monotonic() - began

    alone = sorted(one() for _ in range(50))
    began = time.monotonic()
    large = [ask(client, {"messages": json.dumps(LONG)}) for _ in range(2)]
    beside = []
    while large[-1].empty():
        beside.append(one())
    took = (time.monotonic() - began) / len(large)
    assert all(isinstance(waiting.get(timeout=60), bytes) for waiting in large)
    beside.sort()
    assert len(beside) > 20
    assert beside[len(beside) // 2] < 5 * alone[25] + 0.01
    assert beside[int(len(beside) * 0.99)] < max(took / 2, 0.05), (took, alone[-3:], beside[-3:])


def test_short_ones_do_not_wait_for_long_ones(client: PreparationClient) -> None:
    large = [ask(client, {"messages": json.dumps(LONG)}) for _ in range(2)]
    answer(client, {"messages": user("Hi" + " " * 20_000)})
    assert large[-1].empty()
    for waiting in large:
        waiting.get(timeout=60)


def test_a_client_that_leaves_stops_the_work(
    client: PreparationClient, owner: PreparationOwner
) -> None:
    answers = ask(client, {"messages": user("SPIN" + " " * 20_000)}, gone=lambda: bool(left))
    left: list[int] = []
    until(lambda: children(owner))
    left.append(1)
    result = answers.get(timeout=1)
    assert result.status is Status.CANCELLED and result.code == Code.CLIENT_CANCELLED
    until(lambda: not children(owner), within=1)


def test_a_connection_that_ends_stops_its_work(owner: PreparationOwner) -> None:
    client = PreparationClient(owner.run_dir)
    answers = ask(client, {"messages": user("SPIN" + " " * 20_000)})
    until(lambda: children(owner))
    client.close()
    assert answers.get(timeout=1).code == Code.SERVER_STOPPED
    until(lambda: not children(owner), within=1)


def test_a_deadline_ends_what_runs_and_what_waits(
    client: PreparationClient, owner: PreparationOwner
) -> None:
    values = {"messages": user("SPIN" + " " * 20_000), "timeout_ms": 300}
    began = time.monotonic()
    many = [ask(client, values) for _ in range(6)]
    for answers in many:
        error = answers.get(timeout=5)
        assert error.status is Status.DEADLINE_EXCEEDED
        assert "timeout_ms" in error.message
    assert time.monotonic() - began < 2
    until(lambda: not children(owner), within=1)


def test_work_without_an_end_is_ended_and_named(client: PreparationClient) -> None:
    with pytest.raises(RequestError, match="messages: takes more than 10 s of work") as caught:
        answer(client, {"messages": user("SPIN" + " " * 20_000)})
    assert caught.value.status is Status.INVALID_ARGUMENT


def test_work_without_a_bound_on_memory_is_ended_and_named(client: PreparationClient) -> None:
    with pytest.raises(RequestError, match="messages: takes more than 768 MiB") as caught:
        answer(client, {"messages": user("FILL" + " " * 20_000)})
    assert caught.value.status is Status.INVALID_ARGUMENT


def test_a_flood_of_large_ones_is_refused_and_small_ones_go_on(client: PreparationClient) -> None:
    left: list[int] = []
    values = {"messages": json.dumps([{"role": "user", "content": "SPIN"}, *LONG])}
    many = [ask(client, values, gone=lambda: bool(left)) for _ in range(70)]
    refused = many[-1].get(timeout=5)
    assert refused.status is Status.UNAVAILABLE
    assert refused.code == Code.QUEUE_FULL
    answer(client, {"messages": user("Hi")})
    left.append(1)
    for answers in many[:-1]:
        assert answers.get(timeout=5).status in (Status.CANCELLED, Status.UNAVAILABLE)


def test_a_pause_is_not_taken_for_a_hang(
    client: PreparationClient, owner: PreparationOwner
) -> None:
    """Nothing was asked for longer than a process may be silent."""
    answer(client, {"messages": user("Hi")})
    client._heard -= 60
    before = owner.pid
    answer(client, {"messages": json.dumps(LONG)})
    assert owner.pid == before


def test_a_killed_process_starts_again_and_what_waits_is_told(
    client: PreparationClient, owner: PreparationOwner
) -> None:
    answers = ask(client, {"messages": user("SPIN" + " " * 20_000)})
    until(lambda: children(owner))
    before = owner.pid
    os.kill(before, signal.SIGKILL)
    assert answers.get(timeout=2).code == Code.PREPARATION_RESTARTING
    until(lambda: owner.pid != before and works(client), within=30)


def test_a_frozen_process_is_replaced(client: PreparationClient, owner: PreparationOwner) -> None:
    answer(client, {"messages": user("Hi")})
    before = owner.pid
    os.kill(before, signal.SIGSTOP)
    assert ask(client, {"messages": user("Hi")}).get(timeout=6).code == Code.PREPARATION_RESTARTING
    until(lambda: owner.pid != before and works(client), within=30)


def works(client: Any) -> Any:
    try:
        return bool(ask(client, {"messages": user("Hi")}).get(timeout=5))
    except (RequestError, Empty):
        return False


def test_a_server_keeps_the_template_it_started_with(folder: Path, tmp_path: Path) -> None:
    """When the preparation process is started again too; the next start takes the new one."""
    engine, run_dir = shutil.copytree(folder, tmp_path / "engine"), tmp_path / "run"
    env = {ENGINE_DIR: str(engine), RUN_DIR: str(run_dir)}
    hi = {"messages": user("Hi")}

    def ids(wait_for: Any) -> Any:
        client = PreparationClient(run_dir)
        until(lambda: wait_for(client), within=30)
        found = ids_of(answer(client, hi, kind="tokens"))
        client.close()
        return found

    owner = PreparationOwner(env)
    old = ids(works)
    (engine / "chat_template.jinja").write_text("{{ bos_token }}{{ messages[0].content }}")
    before = owner.pid
    owner.kill()
    until(lambda: owner.pid != before, within=30)
    assert ids(works) == old
    owner.close()
    owner = PreparationOwner(env)
    assert ids(works) != old
    owner.close()


def test_a_template_that_loops_fails_the_start(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "engine")
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    (tmp_path / "engine" / "chat_template.jinja").write_text(loop)
    with pytest.raises(RuntimeError, match=r"chat_template.jinja: .* took more than 10 s of work"):
        PreparationOwner({ENGINE_DIR: str(tmp_path / "engine"), RUN_DIR: str(tmp_path)})
