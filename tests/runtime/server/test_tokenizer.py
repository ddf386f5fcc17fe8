"""The tokenizer service gives the ids that the engine would get, and the bytes behind them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.contract.models import TOKENIZER_INPUTS
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.preparation.owner import PreparationOwner
from gemma4_runtime.preparation.preparer import preparer_of
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.gemma4_tokenizer import Tokenized, TokenizerService
from gemma4_runtime.settings import ENGINE_DIR, RUN_DIR, Settings
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
KINDS = {"token_ids": np.int32, "enable_thinking": np.bool_, "add_bos": np.bool_,
         "continue_final_message": np.bool_}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    out = tmp_path_factory.mktemp("engine") / "synthetic"
    build_engine(
        BuildRequest(checkpoint=checkpoint, out=out, runtime="synthetic", max_total_tokens=512),
        SilentReporter(),
    )
    return out


@pytest.fixture(scope="module")
def service(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenizerService]:
    run_dir = tmp_path_factory.mktemp("run")
    owner = PreparationOwner({ENGINE_DIR: str(folder), RUN_DIR: str(run_dir)})
    service = TokenizerService(Settings(folder, run_dir))
    yield service
    service.close()
    owner.close()


def ask(service: TokenizerService, **inputs: Any) -> Tokenized:
    tensors = {
        name: np.array([value if isinstance(value, list) else [value]], KINDS.get(name, np.object_))
        for name, value in inputs.items()
    }
    answers: Any = SimpleQueue()
    service.answer(tensors, answers.put, gone=lambda: False)
    answer = answers.get(timeout=20)
    if isinstance(answer, RequestError):
        raise answer
    found: Tokenized = answer
    return found


CHAT = json.dumps([{"role": "user", "content": "日本 <|turn> 👋"}])

BEGUN = json.dumps([*json.loads(CHAT), {"role": "assistant", "content": "It is"}])


@pytest.mark.parametrize(
    ("inputs", "tensors"),
    [
        ({"text": b"Hi <|turn>there"}, {"text_input": b"Hi <|turn>there"}),
        ({"messages": CHAT.encode()}, {"messages": CHAT.encode()}),
        ({"messages": CHAT.encode(), "enable_thinking": True, "tools": b"[]"},
         {"messages": CHAT.encode(), "enable_thinking": True}),
        *[({"messages": BEGUN.encode(), "continue_final_message": True},) * 2],
    ],
)  # fmt: skip
def test_the_ids_are_those_of_the_engine(
    service: TokenizerService, folder: Path, inputs: dict[str, Any], tensors: dict[str, Any]
) -> None:
    preparer = preparer_of(folder, read_manifest(folder))
    request = preparer.prepare(
        {n: np.array([[v]], KINDS.get(n, np.object_)) for n, v in tensors.items()},
        request_id="", key="k", now=0.0,
    )  # fmt: skip
    assert ask(service, **inputs).token_ids == request.input_ids


def test_bos_may_be_left_out(service: TokenizerService) -> None:
    with_bos, without = ask(service, text=b"Hello"), ask(service, text=b"Hello", add_bos=False)
    assert with_bos.token_ids == [2, *without.token_ids]
    assert (with_bos.text, without.text) == ("<bos>Hello", "Hello")


SPACE = "\u2581"


def test_the_tokenizers_own_mark_of_a_space_is_a_space(service: TokenizerService) -> None:
    """SentencePiece writes a space so; who types it gets a space back."""
    assert ask(service, token_ids=ask(service, text=f"a{SPACE}b".encode()).token_ids).text == (
        "<bos>a b"
    )


@given(st.text(min_size=1).filter(lambda t: not {"\ufdd0", "<", SPACE} & set(t)))
def test_text_survives_the_way_there_and_back(service: TokenizerService, text: str) -> None:
    there = ask(service, text=text.encode(), add_bos=False)
    back = ask(service, token_ids=there.token_ids)
    assert back.text == there.text == text
    assert b"".join(back.token_bytes) == text.encode()
    assert len(back.token_bytes) == len(there.token_ids)


def test_the_engine_is_named(service: TokenizerService, folder: Path) -> None:
    engine = json.loads(ask(service, token_ids=[]).engine)
    assert re.fullmatch("[0-9a-f]{64}", engine["id"])
    assert (engine["runtime"], engine["max_total_tokens"]) == ("synthetic", 512)
    template = (folder / "chat_template.jinja").read_bytes()
    assert engine["chat_template"] == hashlib.sha256(template).hexdigest()
    assert engine["vocab_size"] == read_manifest(folder).model.vocab_size
    published = json.loads((folder / "generation_config.json").read_text())
    sampling = engine["sampling"]
    assert {name: sampling[name] for name in ("temperature", "top_k", "top_p")} == {
        name: published[name] for name in ("temperature", "top_k", "top_p")
    }
    assert sampling["presence_penalty"] == 0 and "random_seed" not in sampling


@pytest.mark.parametrize(
    ("set_fields", "code"),
    [
        ((), ""),
        ((Field.GATE_FAILED,), ""),
        ((Field.GATE_FAILED, Field.GATE_CLOSED), "quality_gate_failed"),
        ((Field.GATE_CLOSED, Field.DRAINING), "draining"),
    ],
)
def test_why_no_request_is_taken(
    folder: Path, tmp_path: Path, set_fields: tuple[Field, ...], code: str
) -> None:
    board = Board(tmp_path / BOARD_NAME, create=True)
    for field in set_fields:
        board[field] = 1
    service = TokenizerService(Settings(folder, tmp_path))
    assert json.loads(ask(service, token_ids=[]).engine)["refusal"] == code
    service.close()


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"text": b"a", "token_ids": [1]}, "token_ids: text is given too"),
        ({"add_bos": True}, "token_ids: is missing"),
        ({"text": b""}, "text: is empty"),
        ({"text": b"<pad>"}, "text: contains the placeholder token <pad>"),
        ({"text": b"a" * (1 << 20) + b"a"}, "text: 1048577 bytes"),
        ({"text": b"\xff"}, "text: is not valid UTF-8"),
        ({"messages": b"[]"}, "messages: must be a non-empty"),
        ({"messages": CHAT.encode(), "add_bos": False}, "add_bos: needs text"),
        ({"text": b"a", "tools": b"[]"}, "tools: needs messages"),
        ({"text": b"a", "enable_thinking": True}, "enable_thinking: needs messages"),
        ({"token_ids": [1, -1]}, "token_ids: -1 is not in 0 to 4095"),
        ({"token_ids": [4096]}, "token_ids: 4096 is not in 0 to 4095"),
        ({"token_ids": [1] * ((1 << 18) + 1)}, "token_ids: 262145 values; at most 262144"),
        ({"text_input": b"a"}, "text_input: no such input"),
    ],
)  # fmt: skip
def test_bad_input(service: TokenizerService, inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError) as caught:
        ask(service, **inputs)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert says in caught.value.to_wire()


def test_the_repository_declares_the_same_inputs() -> None:
    text = (ROOT / "model_repository" / "gemma4_tokenizer" / "config.pbtxt").read_text()
    found = re.findall(r'name: "(\w+)" data_type: TYPE_(\w+) dims: \[ (-?1) \] optional', text)
    assert found == [(i.name, i.dtype, "-1" if i.many else "1") for i in TOKENIZER_INPUTS]
