"""Random changes of valid requests. Everything follows from the random generator's seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

from gemma4_testing.fuzz.known import known_crash
from gemma4_testing.fuzz.spec import INPUTS, MODELS, OUTPUTS, Spec

DATATYPES = ["BYTES", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32",
             "UINT64", "FP32", "FP64", "BF16", "", "STRING", "bytes", "INT128", "\0"]  # fmt: skip
TEXTS = ["", " ", "\0", "a\0b", "\x1b[31m", "\n", "é", "\U0001f600", "\u202e", "x" * 300, "x" * 70_000,
         "../../etc/passwd", "%s%n", "null", "true", "-1", "1e309", "{", "[[[[", '{"a":', "<bos>",
         "<|turn>", '[{"role":"user"}]', '[{"role":"user","content":1}]', '[{"role":"\\ud800"}]',
         '[{"role":"user","content":"\\ud800\\u0000"}]', "[" * 500, '{"a":' * 200, "0" * 32 + "/0",
         "f" * 32 + "/99999", "g" * 32 + "/1", "(a+)+$", "root ::= root", '{"$ref":"#"}']  # fmt: skip
NUMBERS = [0, 1, -1, 2, 127, 255, 256, 2**15, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**63 - 1,
           2**63, -(2**63), 2**64 - 1, 0.5, -0.0, 1e-300, 1e300, float("nan"), float("inf")]  # fmt: skip
DIMENSIONS = [0, 1, 2, 3, -1, -2, 7, 100, 65_536, 2**31 - 1, -(2**31), "1", None, 1.5, True]
PARAMETERS = ["gemma4_key", "gemma4_feed", "sequence_id", "sequence_start", "sequence_end",
              "priority", "timeout", "binary_data_output", "binary_data", "binary_data_size",
              "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset",
              "triton_enable_empty_final_response", "triton_final_response", "headers", "",
              "max_tokens", "x" * 5000, "é", "a b", "\x01"]  # fmt: skip
HEADERS = ["Inference-Header-Content-Length", "Content-Type", "Accept-Encoding", "Content-Encoding",
           "triton-grpc-protocol-gemma4-closed", "gemma4-closed", "traceparent", "X-Test"]  # fmt: skip
HEADER_VALUES = ["", "0", "1", "-1", "99999999999999999999", "abc", "application/octet-stream",
                 "text/plain", "identity", "1,2", "x" * 2000]  # fmt: skip


def value(rng: random.Random, depth: int = 0) -> object:
    """Any JSON value; bytes that are not UTF-8 too."""
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return rng.choice(TEXTS)
    if kind in (1, 2):
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice([True, False, None])
    if kind == 4:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(20)))
    if kind == 5:
        return "".join(chr(rng.randrange(0x20, 0x3000)) for _ in range(rng.randrange(40)))
    if kind in (6, 7):
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(TEXTS[:9] + PARAMETERS): value(rng, depth + 1) for _ in range(rng.randrange(3))}  # fmt: skip


def _one(rng: random.Random, spec: Spec) -> dict[str, Any] | None:
    return rng.choice(spec.inputs) if spec.inputs else None


def drop_input(rng: random.Random, spec: Spec) -> None:
    if spec.inputs:
        spec.inputs.pop(rng.randrange(len(spec.inputs)))


def add_input(rng: random.Random, spec: Spec) -> None:
    model = rng.choice(MODELS) if rng.random() < 0.3 else spec.model
    some = INPUTS.get(model, INPUTS["engine"])
    spec.inputs.append(copy.deepcopy(some[rng.choice(list(some))]))


def repeat_input(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        spec.inputs += [copy.deepcopy(found) for _ in range(rng.choice([1, 1, 2, 30]))]


def rename_input(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        found["name"] = rng.choice([*TEXTS, *INPUTS["engine"]])


def retype_input(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        found["datatype"] = rng.choice(DATATYPES)


def reshape_input(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        found["shape"] = [rng.choice(DIMENSIONS) for _ in range(rng.choice([0, 1, 2, 2, 2, 3, 9]))]


def batch_input(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        found["shape"] = rng.choice([[2, 1], [1, 2], [1, 0], [0, 1], [1], [1, 1, 1], []])


def change_values(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        found.pop("raw", None)
        found["data"] = [value(rng) for _ in range(rng.choice([0, 1, 1, 1, 2, 5]))]


def change_text(rng: random.Random, spec: Spec) -> None:
    texts = [t for t in spec.inputs if t.get("datatype") == "BYTES"]
    if texts:
        found = rng.choice(texts)
        text = rng.choice(TEXTS)
        old = str((found.get("data") or [""])[0])
        at = rng.randrange(len(old) + 1)
        found["data"] = [rng.choice([text, old[:at] + text + old[at:], old[:at]])]
        found["shape"] = [1, 1]


def change_number(rng: random.Random, spec: Spec) -> None:
    numbers = [t for t in spec.inputs if t.get("datatype") not in ("BYTES", "BOOL")]
    if numbers:
        rng.choice(numbers)["data"] = [rng.choice(NUMBERS)]


def raw_values(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        size = rng.choice([0, 1, 3, 4, 5, 8, 9, 100])
        data = bytes(rng.randrange(256) for _ in range(size))
        start = rng.choice([b"", b"\xff\xff\xff\xff", b"\5\0\0\0", b"\0\0\0\x80", b"\1\0\0\0"])
        found["raw"] = start + data


def many_values(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        count = rng.choice([10, 1000, 20_000])
        found["data"] = (found.get("data") or [1])[:1] * count
        found["shape"] = [1, count]


def change_id(rng: random.Random, spec: Spec) -> None:
    spec.id = rng.choice([*TEXTS, "i" * 1025, "i" * 100_000])


def change_model(rng: random.Random, spec: Spec) -> None:
    spec.model = rng.choice([*MODELS, *MODELS, "", "none", "../engine", "engine/versions/1", "é"])


def change_version(rng: random.Random, spec: Spec) -> None:
    spec.version = rng.choice(["1", "2", "-1", "0", "x", "99999999999999999999", "1/../1"])


def add_parameter(rng: random.Random, spec: Spec) -> None:
    spec.parameters[rng.choice(PARAMETERS)] = value(rng)


def many_parameters(rng: random.Random, spec: Spec) -> None:
    spec.parameters |= {f"p{i}": value(rng) for i in range(rng.choice([10, 100]))}


def tensor_parameter(rng: random.Random, spec: Spec) -> None:
    if found := _one(rng, spec):
        found["parameters"] = {rng.choice(PARAMETERS): value(rng)}


def ask_output(rng: random.Random, spec: Spec) -> None:
    names = list(OUTPUTS.get(spec.model, {"x": ""}))
    wanted = {"name": rng.choice([*names, *names, *TEXTS[:8]])}
    if rng.random() < 0.5:
        name = rng.choice([*PARAMETERS[7:13], "classification"])
        wanted["parameters"] = {name: value(rng)}
    spec.outputs += [wanted] * rng.choice([1, 1, 1, 2, 50])


def add_header(rng: random.Random, spec: Spec) -> None:
    spec.headers[rng.choice(HEADERS)] = rng.choice(HEADER_VALUES)


def add_field(rng: random.Random, spec: Spec) -> None:
    names = ["id", "inputs", "outputs", "parameters", "text_input", "max_tokens", "stream", "x", ""]
    spec.extra[rng.choice(names)] = value(rng)


def flip_bytes(rng: random.Random, spec: Spec) -> None:
    spec.wire += [(rng.random(), rng.randrange(256)) for _ in range(rng.choice([1, 1, 3, 10]))]


def cut_bytes(rng: random.Random, spec: Spec) -> None:
    spec.cut = rng.random()


MUTATIONS: list[Callable[[random.Random, Spec], None]] = [
    drop_input, add_input, add_input, add_input, repeat_input, rename_input, retype_input,
    reshape_input, batch_input, change_values, change_text, change_text, change_text,
    change_number, change_number, raw_values, many_values, change_id, change_model, change_version,
    add_parameter, add_parameter, many_parameters, tensor_parameter, ask_output, add_header,
    add_field, flip_bytes, cut_bytes,
]  # fmt: skip


def valid(rng: random.Random, models: Sequence[str]) -> Spec:
    """A request that some model answers, or one of its inner steps refuses."""
    model = rng.choice(models)
    inputs = INPUTS[model]
    if "text_input" in inputs:
        names = [rng.choice(["text_input", "messages"]), "max_tokens"]
        names += [n for n in inputs if n not in ("request", "feed", *names) and rng.random() < 0.15]
    else:
        names = [rng.choice(list(inputs))]
    return Spec(model, [copy.deepcopy(inputs[name]) for name in names])


def waits_for_ever(spec: Spec) -> bool:
    """A poll of a feed waits for its streams, by design: nothing ends it but the client."""
    return spec.model == "engine" and any(t.get("name") == "feed" for t in spec.inputs) and len(
        {str(t.get("name")) for t in spec.inputs}
    ) == 1  # fmt: skip


def case(seed: int, number: int, models: Sequence[str] = MODELS) -> Spec:
    """Request ``number`` of the run ``seed``, which ends no Triton that we know."""
    for attempt in range(1000):
        rng = random.Random(f"{seed}/{number}/{attempt}")
        spec = valid(rng, models)
        for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 5])):
            rng.choice(MUTATIONS)(rng, spec)
        if known_crash(spec) is None and not waits_for_ever(spec):
            return spec
    raise AssertionError("nothing but known crashes")
