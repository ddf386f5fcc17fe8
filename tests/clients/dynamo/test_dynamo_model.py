"""What a worker says of the engine folder, and the options that it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gemma4_client import ServerInfo
from gemma4_dynamo.load import BLOCK_TOKENS, Capacity
from gemma4_dynamo.model import Model, read_model
from gemma4_dynamo.options import OptionsError, WorkerOptions, default_endpoint
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine


def info(model: Model, /, **other: Any) -> ServerInfo:
    """What a server says that has the folder's engine, but for ``other``."""
    tokens = model.context_length
    said = ServerInfo(
        "id", model.name, "synthetic", "1", "none", tokens - 1, tokens, model.vocab_size, 0
    )
    return replace(said, **other)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return synthetic_engine(tmp_path / "engine", tokens_per_s=100, slots=4)


def test_an_engine_folder(engine: Path) -> None:
    model = read_model(engine)
    assert model.eos_ids == {1, 106, 50} and model.bos_id == 2
    assert model.kv_blocks is None, "the synthetic engine has no KV cache"
    assert model.capacity(3) == Capacity(model.slots * 3, None)
    model.check("a:1", info(model))


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"max_total_tokens": 7}, "holds so many tokens of a request: 7, the engine of --engine"),
        ({"model": "gemma-9"}, "serves the model gemma-9, the engine"),
        ({"vocab_size": 5}, "has the vocabulary size 5, the engine"),
    ],
)
def test_a_server_with_another_engine(engine: Path, other: dict[str, Any], says: str) -> None:
    model = read_model(engine)
    with pytest.raises(OptionsError, match=f"--server a:1: {says} .*give the folder"):
        model.check("a:1", info(model, **other))


def test_blocks_of_several_servers(tmp_path: Path) -> None:
    blocks = 8 * 2048 // BLOCK_TOKENS
    model = Model(tmp_path, "m", 4096, 2048, frozenset({1}), 2, slots=8, kv_blocks=blocks)
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
        ({"endpoint": "dyn://a.b.c"}, "--endpoint dyn://a.b.c: is not NAMESPACE"),
        ({"endpoint": "my ns.b.c"}, "--endpoint my ns.b.c: .* each of letters, digits"),
        ({"name": " "}, "--served-model-name ' ': give a name without blanks"),
        ({"name": "a\nb"}, "--served-model-name 'a.nb'"),
        ({"servers": ("a:1", "http://a:8001")}, "--server http://a:8001: the worker speaks gRPC"),
        ({"servers": ("a:99999",)}, "--server a:99999: Port out of range .*; give host:port"),
        ({"servers": ("a:grpc",)}, "--server a:grpc: Port could not be cast"),
        ({"servers": ("",)}, "--server : must be a host and a port; give host:port"),
        ({"servers": ("a:1,b:2",)}, "--server a:1,b:2: give --server once for each"),
        (
            {"servers": ("u:pw@a:1",)},
            "--server [.]{3}@a:1: must be a host and a port, without a user",
        ),
        ({"servers": ("::1",)}, "--server ::1: put an IPv6 address into brackets"),
        ({"discovery": "zk"}, "--discovery-backend zk: use one of etcd"),
        ({"request_plane": "udp"}, "--request-plane udp: use one of tcp"),
        ({"event_plane": "udp"}, "--event-plane udp: use one of zmq"),
        ({"servers": ()}, "--server: give the address"),
        ({"input": "words"}, "--input words: use one of tokens, text"),
    ],
)
def test_wrong_options(values: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        WorkerOptions(engine=Path("e"), **values)


@pytest.mark.parametrize("server", ["a:1", "triton", "[::1]:8001", "grpc://a:8001", "grpcs://a"])
def test_addresses(server: str) -> None:
    WorkerOptions(engine=Path("e"), servers=(server,))


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
