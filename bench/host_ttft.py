"""What the host adds to the time to the first token: ``make bench-host-ttft``.

The synthetic engine answers at once, one stream asks one request after another, for one token; so
the time to it is the host's. Prompts of different lengths, every one another text; the topologies
take turns with each request. ``tokenizing`` is the bare tokenizers library on the same text in this
process: no host path can be faster. Medians, milliseconds; ``added`` is the difference of the medians.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import tokenizers
from gemma4_client.wire import build_request
from gemma4_testing.engine_folders.synthetic_engine import UNPACED, synthetic_engine
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served
from tritonclient.grpc import service_pb2_grpc

CHECKPOINT = Path(__file__).parents[1] / "demo" / "checkpoint"
WORDS = ("measure", "the", "time", "to", "first", "token", "of", "a", "long", "prompt", "again")
TURN_TOKENS = 16
"""More than what the chat template puts around a message, less than a tenth of any prompt here."""


def text_of(tokens: int, seed: int, tokenizer: tokenizers.Tokenizer) -> str:
    """Return about ``tokens`` tokens, another text for each seed."""
    sample = " ".join(WORDS[(seed + i * (1 + seed % 7)) % len(WORDS)] for i in range(tokens))
    ids = tokenizer.encode(sample, add_special_tokens=False).ids
    return f"{seed} " + str(tokenizer.decode(ids[: tokens - TURN_TOKENS]))


def long_context(folder: Path, tokens: int) -> Path:
    """Return the demo checkpoint, said to have so long a context: the synthetic engine has no
    model."""
    folder.mkdir()
    for file in CHECKPOINT.iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((CHECKPOINT / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = tokens
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


Ask = Callable[[str], float]
"""A message to the seconds until its first token."""


def through_grpc(stub: service_pb2_grpc.GRPCInferenceServiceStub, model: str) -> Ask:
    def ask(text: str) -> float:
        messages = json.dumps([{"role": "user", "content": text}])
        inputs = {"messages": messages, "max_tokens": 1, "stream": True}
        request = build_request(inputs, model=model)
        started = time.monotonic()
        call = stub.ModelStreamInfer(iter([request]))
        message = next(iter(call))
        spent = time.monotonic() - started
        assert not message.error_message, message.error_message
        assert message.infer_response.outputs
        for _ in call:
            pass
        return spent

    return ask


def through_gateway(port: int) -> Ask:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(text: str) -> float:
        messages = [{"role": "user", "content": text}]
        body = json.dumps({"model": MODEL, "messages": messages, "max_tokens": 1, "stream": True})
        started = time.monotonic()
        connection.request(
            "POST", "/v1/chat/completions", body, {"content-type": "application/json"}
        )
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        while b'"content":"' not in answer.readline():
            pass
        spent = time.monotonic() - started
        answer.read()
        return spent

    return ask


def tokenizing(tokenizer: tokenizers.Tokenizer) -> Ask:
    def ask(text: str) -> float:
        started = time.monotonic()
        tokenizer.encode(text, add_special_tokens=False)
        return time.monotonic() - started

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt-tokens", default="100,1000,8000,32000")
    parser.add_argument("--requests", type=int, default=40, help="for each length and topology")
    a = parser.parse_args()
    lengths = [int(n) for n in a.prompt_tokens.split(",")]
    if min(lengths) <= 2 * TURN_TOKENS:
        parser.error(f"--prompt-tokens: must be more than {2 * TURN_TOKENS}")
    tokenizer = tokenizers.Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        engine = synthetic_engine(
            scratch / "engine",
            tokens_per_s=UNPACED,
            slots=4,
            checkpoint=long_context(scratch / "checkpoint", 2 * max(lengths)),
            max_total_tokens=2 * max(lengths),
        )
        server = Served(engine, scratch / "run")
        gateway = RunningGateway(server.grpc)
        try:
            channel = grpc.insecure_channel(
                f"127.0.0.1:{server.grpc}", options=[("grpc.max_send_message_length", -1)]
            )
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            asks = {
                "tokenizing": tokenizing(tokenizer),
                "engine": through_grpc(stub, "engine"),
                "gemma4": through_grpc(stub, "gemma4"),
                "gateway": through_gateway(gateway.port),
            }
            print(f"{'tokens':>7}" + "".join(f"{name:>12}{'added':>8}" for name in asks))
            for length in lengths:
                print(line(length, measure(asks, length, a.requests, tokenizer)), flush=True)
        finally:
            gateway.stop()
            server.stop()


def measure(
    asks: Mapping[str, Ask], length: int, requests: int, tokenizer: tokenizers.Tokenizer
) -> dict[str, float]:
    """Return medians in seconds."""
    found: dict[str, list[float]] = {name: [] for name in asks}
    for turn in range(requests + 2):
        for index, (name, ask) in enumerate(asks.items()):
            spent = ask(text_of(length, turn * len(asks) + index, tokenizer))
            if turn >= 2:
                found[name].append(spent)
    return {name: statistics.median(times) for name, times in found.items()}


def line(length: int, found: Mapping[str, float]) -> str:
    bare = found["tokenizing"]
    return f"{length:7}" + "".join(
        f"{spent * 1000:12.2f}{(spent - bare) * 1000:8.2f}" for spent in found.values()
    )


if __name__ == "__main__":
    main()
