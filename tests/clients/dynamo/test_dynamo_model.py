"""What a worker says of the engine folder, and the options that it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gemma4_client import ServerInfo
from gemma4_dynamo.load import BLOCK_TOKENS, Capacity
from gemma4_dynamo.model import Model, read_model
from gemma4_dynamo.options import OptionsError, WorkerOptions, default_endpoint
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine


def info(tokens: int) -> ServerInfo:
    return ServerInfo("id", "m", "synthetic", "1", "none", tokens - 1, tokens, 4096, 0)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return synthetic_engine(tmp_path / "engine", tokens_per_s=100, slots=4)


def test_an_engine_folder(engine: Path) -> None:
    model = read_model(engine)
    assert model.eos_ids == {1, 106, 50} and model.bos_id == 2
    assert model.kv_blocks is None, "the synthetic engine has no KV cache"
    assert model.capacity(3) == Capacity(model.slots * 3, None)
    model.check("a:1", info(model.context_length))
    with pytest.raises(OptionsError, match="--server a:1: holds 7 tokens"):
        model.check("a:1", info(7))


def test_blocks_of_several_servers(tmp_path: Path) -> None:
    model = Model(tmp_path, 2048, frozenset({1}), 2, slots=8, kv_blocks=8 * 2048 // BLOCK_TOKENS)
    assert model.capacity(2) == Capacity(16, 1024)


def test_no_engine_folder(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=r"--engine .*no such folder"):
        read_model(tmp_path / "none")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_lacks_what_dynamo_reads(engine: Path, name: str) -> None:
    (engine / name).unlink()
    with pytest.raises(OptionsError, match=r"lacks config.json or .*build it again"):
        read_model(engine)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"endpoint": "a.b"}, "--endpoint a.b: is not NAMESPACE.COMPONENT.ENDPOINT"),
        ({"endpoint": "a..b"}, "--endpoint"),
        ({"discovery": "zk"}, "--discovery-backend zk: use one of etcd"),
        ({"request_plane": "udp"}, "--request-plane udp: use one of tcp"),
        ({"event_plane": "udp"}, "--event-plane udp: use one of zmq"),
        ({"servers": ()}, "--server: give the address"),
        ({"input": "words"}, "--input words: use one of tokens, text"),
    ],
)
def test_options(values: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        WorkerOptions(engine=Path("e"), **values)


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, "dynamo.backend.generate"),
        ({"DYN_NAMESPACE": ""}, "dynamo.backend.generate"),
        ({"DYN_NAMESPACE": "a-b"}, "a-b.backend.generate"),
        ({"DYN_NAMESPACE": "a", "DYN_NAMESPACE_WORKER_SUFFIX": "x1"}, "a-x1.backend.generate"),
    ],
)
def test_the_operators_namespace(environ: dict[str, str], endpoint: str) -> None:
    assert default_endpoint(environ) == endpoint
    WorkerOptions(engine=Path("e"), endpoint=endpoint)
