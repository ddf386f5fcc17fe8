"""The real preparation process says whether an answer keeps to its guide."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.messages import GuidedDecoding, decode_request
from gemma4_runtime.preparation.client import PreparationClient
from gemma4_runtime.preparation.owner import PreparationOwner
from gemma4_runtime.settings import ENGINE_DIR, RUN_DIR

SCHEMA = json.dumps({"type": "array", "items": {"type": "string", "format": "uri"}})


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Callable[..., Any]]:
    here = tmp_path_factory.mktemp("verdict")
    build_engine(
        BuildRequest(checkpoint=checkpoint, out=here / "engine", skip_verify=True, precision="int8"),
        SilentReporter(),
    )  # fmt: skip
    run_dir = tmp_path_factory.mktemp("run")
    owner = PreparationOwner({ENGINE_DIR: str(here / "engine"), RUN_DIR: str(run_dir)})
    client = PreparationClient(run_dir, on_hang=owner.kill)

    def one(values: dict[str, Any], kind: Any) -> bytes:
        answers: Any = SimpleQueue()
        client.ask(
            values, kind=kind, done=answers.put, gone=lambda: False, key="k", now=time.monotonic()
        )
        result = answers.get(timeout=60)
        if isinstance(result, RequestError):
            raise result
        found: bytes = result
        return found

    yield one
    client.close()
    owner.close()


def prepared(ask: Callable[..., Any], kind: Any, guide: str) -> GuidedDecoding:
    values = {"text_input": "Hi", "guided_decoding_guide_type": kind}
    data = ask(values | ({"guided_decoding_guide": guide} if guide else {}), "request")
    return decode_request(data).sampling.guided  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "guide", "answer", "complete", "kept"),
    [
        ("json_schema", SCHEMA, b'["https://a.bc"]', True, True),
        ("json_schema", SCHEMA, b'["no uri"]', True, False),
        ("json_schema", SCHEMA, b'["https://a', False, True),
        ("json_schema", SCHEMA, b"I am sorry", False, False),
        ("regex", "😀|日", "😀".encode(), True, True),
        ("regex", "😀|日", "😁".encode(), True, False),
        ("grammar", 'root ::= "yes" | "no"', b"ye", True, False),
        ("grammar", 'root ::= "yes" | "no"', b"ye", False, True),
        ("json", "", b'{"a": [1]}', True, True),
        ("json", "", b"[1]", True, False),
        ("json_schema", SCHEMA, b"[" + b'"https://a.bc", ' * 9000 + b'"x:y"]', True, True),
        ("json_schema", SCHEMA, b"[" + b'"https://a.bc", ' * 9000 + b"7]", True, False),
    ],
)
def test_verdicts(
    ask: Callable[..., Any], kind: Any, guide: str, answer: bytes, complete: bool, kept: bool
) -> None:
    guided = prepared(ask, kind, guide)
    values = {
        "guided_decoding_guide_type": guided.kind,
        "guided_decoding_guide": guided.guide,
        "asked": guided.asked,
        "text": answer,
        "complete": complete,
        "timeout_ms": 20_000,
    }
    found = ask(values, "verdict")
    assert (found == b"") == kept, found


def test_a_look_has_its_time(ask: Callable[..., Any]) -> None:
    guided = prepared(ask, "regex", "(a|b)*")
    values = {
        "guided_decoding_guide_type": guided.kind, "guided_decoding_guide": guided.guide,
        "asked": "", "text": b"ab" * 1_200_000, "complete": True, "timeout_ms": 60,
    }  # fmt: skip
    with pytest.raises(RequestError) as caught:
        ask(values, "verdict")
    assert caught.value.status is Status.DEADLINE_EXCEEDED
