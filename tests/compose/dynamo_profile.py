"""The profile dynamo of docker-compose.yml: NVIDIA Dynamo's frontend before two workers."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from checks import Checks, get, podman
from project import Project
from stack import DEFAULT, HEALTHY_S, chat

__all__ = ["DYNAMO", "dynamo_profile", "streams"]

DYNAMO = {"triton-2", "dynamo-worker-1", "dynamo-worker-2", "dynamo"}
WORKERS = ("dynamo-worker-1", "dynamo-worker-2")
QUESTIONS = [f"Tell me about {what}." for what in ("Paris", "tea", "rain", "trains")]
TOKENS = 1900
"""Of an answer during which a worker dies: nearly all that the demo engine can hold."""
UNWELL_S = 60
ANSWER_S = 300


@dataclass
class Answer:
    """A streamed answer so far. ``reason``: why it ended."""

    text: str = ""
    events: int = 0
    reason: str = ""


def stream(base: str, question: str, tokens: int, into: Answer) -> Answer:
    """Ask greedily for exactly so many tokens, and note the events as they come. Raises OSError and
    ValueError for an answer that breaks."""
    body: dict[str, Any] = {
        "model": json.loads(get(f"{base}/models")[1])["data"][0]["id"],
        "messages": [{"role": "user", "content": question}],
        "stream": True, "temperature": 0, "max_tokens": tokens, "min_tokens": tokens,
    }  # fmt: skip
    request = urllib.request.Request(
        f"{base}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S) as reply:
        for line in reply:
            text = line.decode().removeprefix("data: ").strip()
            if line.startswith(b"data: ") and text != "[DONE]":
                for choice in json.loads(text)["choices"]:
                    into.text += choice["delta"].get("content") or ""
                    into.reason = choice["finish_reason"] or into.reason
                into.events += 1
    return into


def streams(check: Checks, port: str) -> None:
    found = stream(f"http://127.0.0.1:{port}/v1", QUESTIONS[0], 40, Answer())
    # An engine that is faster than its reader gives several tokens an event.
    check(f"a stream through Dynamo's frontend: {found.events} events, {found.reason}",
          found.events > 1 and found.reason == "length" and bool(found.text), found)  # fmt: skip


def death(check: Checks, project: Project, port: str) -> None:
    """Kill a worker's container while it answers: the other worker goes on with its answers, and
    the restart policy brings it back."""
    base = f"http://127.0.0.1:{port}/v1"
    expected = [stream(base, q, TOKENS, Answer()).text for q in QUESTIONS]
    answers = [Answer() for _ in QUESTIONS]
    victim = project.inspect(WORKERS[0])  # podman takes a second
    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        running = [
            pool.submit(stream, base, q, TOKENS, a) for q, a in zip(QUESTIONS, answers, strict=True)
        ]
        began = time.monotonic()
        while min(a.events for a in answers) < 1 and time.monotonic() - began < ANSWER_S:
            time.sleep(0.01)
        so_far = [len(a.text) for a in answers]
        os.kill(victim["State"]["Pid"], signal.SIGKILL)
        broken = [str(r.exception()) for r in running if r.exception()]
    whole = [len(a.text) for a in answers]
    check(f"{WORKERS[0]} killed when {so_far} characters of {whole} had come: no answer is broken, "
          "the text is as without the fault",
          [a.text for a in answers] == expected and not broken
          and all(s < w for s, w in zip(so_far, whole, strict=True)),
          f"{broken} {answers} {expected}")  # fmt: skip
    healthy = project.wait_healthy({WORKERS[0]}, HEALTHY_S)
    back = project.inspect(WORKERS[0])
    check(f"{WORKERS[0]} is back after {healthy.get(WORKERS[0], -1):.0f} s, "
          f"restarts {back['RestartCount']}",
          bool(healthy) and back["State"]["Pid"] != victim["State"]["Pid"], back)  # fmt: skip


def without_a_triton(check: Checks, project: Project, port: str) -> None:
    """One Triton is stopped: its worker leaves, the frontend answers, also one that starts then."""
    podman("stop", "--time=60", project.containers()["triton-2"])
    podman("restart", "--time=30", project.containers()["dynamo"])
    healthy = project.wait_healthy({"dynamo"}, HEALTHY_S)
    check(f"triton-2 stopped, the frontend restarted: healthy {healthy}", bool(healthy),
          podman("logs", project.containers()["dynamo"]).stdout[-3000:])  # fmt: skip
    chat(check, port, through="Dynamo's frontend, without triton-2")
    began = time.monotonic()
    worker = project.containers()[WORKERS[1]]
    while time.monotonic() - began < UNWELL_S:
        if podman("healthcheck", "run", worker).returncode != 0:
            break
        time.sleep(1)
    seconds = time.monotonic() - began
    check(f"its worker says so {seconds:.0f} s later", seconds < UNWELL_S)
    podman("start", project.containers()["triton-2"])
    healthy = project.wait_healthy(DYNAMO, HEALTHY_S)
    check(f"triton-2 started: healthy {sorted(healthy)}", healthy.keys() == DYNAMO)


def dynamo_profile(check: Checks, project: Project, ports: dict[str, str]) -> bool:
    """Return whether it came up."""
    began = time.monotonic()
    done = project.compose("up", "--detach", "--no-build", profiles=("dynamo",))
    healthy = project.wait_healthy(DEFAULT | DYNAMO, HEALTHY_S)
    times = {s: f"{t:.0f} s" for s, t in healthy.items()}
    sets = project.containers().keys() == DEFAULT | DYNAMO
    if not check(f"profile dynamo: all healthy after {time.monotonic() - began:.0f} s {times}",
                 sets and healthy.keys() == DEFAULT | DYNAMO, done.stdout):  # fmt: skip
        for service in (DEFAULT | DYNAMO) - healthy.keys():
            print(f"{service}:", podman("logs", project.containers()[service]).stdout[-3000:])
        return False
    port = ports["DYNAMO_PORT"]
    chat(check, port, through="Dynamo's frontend")
    chat(check, ports["GATEWAY_PORT"])
    streams(check, port)
    death(check, project, port)
    without_a_triton(check, project, port)
    listed = project.compose("ps", profiles=("dynamo",))
    named = [s for s in DYNAMO if s not in listed.stdout]
    check("ps lists them", listed.returncode == 0 and not named, listed.stdout)
    rejected = podman("logs", project.containers()["dynamo"]).stdout
    check("the frontend takes both workers for one model", "Rejected" not in rejected, rejected)
    return True
