"""Every wrong GGUF file is refused with its own error, and nothing is left behind."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_build import errors
from gemma4_build.model_spec import read_config
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.published.keys import check_keys
from gemma4_build.request import BuildRequest
from gemma4_testing.engine_folders.ggml_quantizer import quantize
from gemma4_testing.engine_folders.published_gguf import PublishedGguf, StoredTensor, publish
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFValueType as T

Change = Callable[[PublishedGguf], object]
Q = "blk.1.attn_q.weight"
NORM = "blk.0.attn_norm.weight"
TOKENS = "tokenizer.ggml.tokens"


@pytest.fixture(scope="module")
def sound(tiny_source: Path) -> PublishedGguf:
    return publish(tiny_source, Kind.Q8_0)


def refused(path: Path, folder: Path, kind: type[errors.BuildError], *words: str) -> None:
    out = path.parent / "out" / "engine"
    with pytest.raises(errors.BuildError) as caught:
        build_engine(
            BuildRequest(
                checkpoint=path, tokenizer=folder, out=out, precision="gguf", skip_verify=True
            ),
            SilentReporter(),
        )
    assert type(caught.value) is kind, caught.value
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert "\n" not in text and path.name in text
    for word in words:
        assert word in text, text
    assert any(way in text for way in ("download", "take a", "join them")), text
    assert not out.parent.exists() or not list(out.parent.iterdir())


def key(name: str, value: Any, kind: T | None = None) -> Change:
    def change(made: PublishedGguf) -> None:
        old = made.keys[name][0] if name in made.keys else T.UINT32
        made.keys[name] = (kind or old, value)

    return change


def drop_key(name: str) -> Change:
    return lambda made: made.keys.pop(name)


def shape(name: str, new: tuple[int, ...]) -> Change:
    return lambda made: setattr(made.tensor(name), "shape", new)


def stored_as(name: str, kind: int, data: Callable[[StoredTensor], bytes] | None = None) -> Change:
    def change(made: PublishedGguf) -> None:
        tensor = made.tensor(name)
        tensor.kind = kind
        if data is not None:
            tensor.data = data(tensor)

    return change


def token(number: int, text: str) -> Change:
    return lambda made: made.keys[TOKENS][1].__setitem__(number, text)


def rename(name: str, new: str) -> Change:
    return lambda made: setattr(made.tensor(name), "name", new)


def zeros(kind: Kind) -> Callable[[StoredTensor], bytes]:
    return lambda tensor: quantize(np.zeros(tensor.shape, np.float32), kind)


WRONG: dict[str, tuple[Change, type[errors.BuildError], tuple[str, ...]]] = {
    "version 2": (lambda m: setattr(m, "version", 2), errors.UnsupportedModelError, ("version 2",)),
    "version 4": (lambda m: setattr(m, "version", 4), errors.UnsupportedModelError, ("version 4",)),
    "big-endian": (
        lambda m: setattr(m, "version", 3 << 24), errors.UnsupportedModelError, ("big-endian",)
    ),
    "a part": (key("split.count", 2), errors.UnsupportedModelError, ("split.count is 2", "--merge")),
    "another architecture": (
        key("general.architecture", "gemma3"), errors.UnsupportedModelError, ("'gemma3'", "26B-A4B")
    ),
    "no architecture": (
        drop_key("general.architecture"), errors.UnsupportedModelError, ("architecture is None",)
    ),
    "a projector": (
        key("general.type", "mmproj"), errors.UnsupportedModelError, ("vision projector",)
    ),
    "an adapter": (key("general.type", "adapter"), errors.UnsupportedModelError, ("LoRA",)),
    "alignment": (
        key("general.alignment", 64), errors.UnsupportedModelError, ("general.alignment is 64",)
    ),
    "rope scaling": (
        key("gemma4.rope.scaling.type", "yarn", T.STRING), errors.UnsupportedModelError,
        ("gemma4.rope.scaling.type", "'yarn'"),
    ),
    "a tensor too many": (
        lambda m: m.tensors.append(StoredTensor("output.weight", (64, 64), 0, bytes(16384))),
        errors.UnknownTensorError, ("output.weight", "of its own"),
    ),
    "halved experts": (
        rename("blk.0.ffn_gate_up_exps.weight", "blk.0.ffn_up_exps.weight"),
        errors.UnknownTensorError, ("blk.0.ffn_up_exps.weight", "two halves"),
    ),
    "joined attention": (
        rename(Q, "blk.1.attn_qkv.weight"), errors.UnknownTensorError, ("attn_qkv", "--fuse-qkv")
    ),
    "a tensor less": (
        lambda m: m.tensors.remove(m.tensor(Q)), errors.MissingTensorError, (Q,)
    ),
    "no rope factors": (
        lambda m: m.tensors.remove(m.tensor("rope_freqs.weight")), errors.MissingTensorError,
        ("rope_freqs.weight", "full attention"),
    ),
    "other rope factors": (
        stored_as("rope_freqs.weight", 0, lambda t: bytes(len(t.data))), errors.MisshapenTensorError,
        ("rope_freqs.weight", "partial_rotary_factor"),
    ),
    "turned": (shape(Q, (64, 128)), errors.MisshapenTensorError, (Q, "[64, 128]", "[128, 64]")),
    "a type nobody knows": (stored_as(Q, 99), errors.MisshapenTensorError, (Q, "type 99", "Q8_0")),
    "a type that is not run": (
        stored_as(Q, Kind.I8, lambda t: bytes(128 * 64)), errors.MisshapenTensorError,
        (Q, "I8", "Q4_0"),
    ),
    "a rounded norm": (
        stored_as(NORM, Kind.Q8_0, zeros(Kind.Q8_0)), errors.MisshapenTensorError,
        (NORM, "Q8_0", "need F32"),
    ),
    "rows too short for K-quants": (
        stored_as(Q, Kind.Q4_K), errors.MisshapenTensorError, (Q, "Q4_K", "multiple of 256")
    ),
    "another vocabulary": (
        key("tokenizer.ggml.model", "llama"), errors.TokenizerError, ("tokenizer.ggml.model", "'llama'")
    ),
    "no vocabulary": (drop_key(TOKENS), errors.TokenizerError, (TOKENS, "no tokens")),
    "a token less": (
        lambda m: m.keys[TOKENS][1].pop(), errors.TokenizerError, ("4095 tokens", "4096")
    ),
    "a token too many": (
        lambda m: m.keys[TOKENS][1].append("x"), errors.TokenizerError, ("4097 tokens", "4096")
    ),
    "shifted by one": (
        lambda m: m.keys[TOKENS][1].insert(700, m.keys[TOKENS][1].pop()), errors.TokenizerError,
        (f"{TOKENS}[700]",),
    ),
    "another token": (token(3999, "\x1b[2J"), errors.TokenizerError, (f"{TOKENS}[3999] is",)),
    "bos": (
        key("tokenizer.ggml.bos_token_id", 1), errors.TokenizerError, ("bos_token_id is 1",)
    ),
    "eos": (
        key("tokenizer.ggml.eos_token_id", 107), errors.TokenizerError, ("eos_token_id is 107",)
    ),
}  # fmt: skip
"""What is wrong, the error, and words of it."""


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(name: str, sound: PublishedGguf, tiny_source: Path, tmp_path: Path) -> None:
    change, kind, words = WRONG[name]
    made = copy.deepcopy(sound)
    change(made)
    refused(made.write(tmp_path / "wrong.gguf"), tiny_source, kind, *words)


def other(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, tuple):
        return (*value[:-1], other(value[-1]))
    return not value if isinstance(value, bool) else value + 1


def test_every_hyperparameter_counts(sound: PublishedGguf, tiny_source: Path) -> None:
    spec = read_config(tiny_source)
    keys = {
        name: tuple(value) if isinstance(value, list) else value
        for name, (_, value) in sound.keys.items()
    }
    check_keys(Path("f"), keys, spec)
    names = [name for name in keys if name.startswith("gemma4.")]
    assert len(names) == 23
    for name in names:
        wrong = (keys | {name: other(keys[name])}, {k: v for k, v in keys.items() if k != name})
        for each in wrong:
            with pytest.raises(errors.UnsupportedModelError, match=rf"{name}\b"):
                check_keys(Path("f"), each, spec)


def test_hyperparameters_in_another_form(
    sound: PublishedGguf, tiny_source: Path, tmp_path: Path
) -> None:
    """What llama.cpp reads as the same is the same."""
    made = copy.deepcopy(sound)
    made.keys["gemma4.feed_forward_length"] = (T.INT32, [96, 96, 96])
    made.keys["gemma4.context_length"] = (T.UINT64, 2048)
    made.keys["gemma4.vocab_size"] = (T.UINT32, 4096)
    request = BuildRequest(
        checkpoint=made.write(tmp_path / "a.gguf"), tokenizer=tiny_source, out=tmp_path / "e",
        precision="gguf", skip_verify=True,
    )  # fmt: skip
    assert build_engine(request, SilentReporter()).status == "built"


def test_weights_that_are_no_numbers(
    sound: PublishedGguf, tiny_source: Path, tmp_path: Path
) -> None:
    for name, data in ((Q, b"\x00\x7e"), (NORM, b"\x00\x00\xc0\x7f")):
        made = copy.deepcopy(sound)
        tensor = made.tensor(name)
        tensor.data = tensor.data[: -34 if name == Q else -4] + data + tensor.data[
            len(tensor.data) - (32 if name == Q else 0) :
        ]  # fmt: skip
        path = made.write(tmp_path / "wrong.gguf")
        refused(path, tiny_source, errors.NotFiniteError, name, "NaN")


@pytest.mark.parametrize("keep", [0, 3, 4, 8, 24, 100, 60_000, -100, -1_000_000])
def test_truncated(keep: int, sound: PublishedGguf, tiny_source: Path, tmp_path: Path) -> None:
    path = sound.write(tmp_path / "short.gguf")
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, tiny_source, errors.TruncatedFileError, "truncated", "download it again")


def test_too_long(sound: PublishedGguf, tiny_source: Path, tmp_path: Path) -> None:
    path = sound.write(tmp_path / "long.gguf")
    with path.open("ab") as file:
        file.write(b"x")
    refused(path, tiny_source, errors.TruncatedFileError, "too long")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1 << 60), "keys, at most"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0) + bytes(64), "tensors"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1 << 62) + bytes(64), "a key has"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 2) + b"\xff\xfe" + bytes(64), "not UTF-8"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1) + b"a" + b"\x63" + bytes(64), "unknown type 99"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1) + b"a\x09\0\0\0\x09\0\0\0" + bytes(64),
         "arrays in it"),
    ],
)  # fmt: skip
def test_no_head(data: bytes, word: str, tiny_source: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    refused(path, tiny_source, errors.BadCheckpointError, word)


def test_keys_and_tensors_come_once(
    sound: PublishedGguf, tiny_source: Path, tmp_path: Path
) -> None:
    made = copy.deepcopy(sound)
    made.keys["gemma4.expert_counu"] = made.keys.pop("gemma4.expert_count")
    path = made.write(tmp_path / "twice.gguf")
    path.write_bytes(path.read_bytes().replace(b"gemma4.expert_counu", b"gemma4.block_count\x00"))
    refused(path, tiny_source, errors.UnsupportedModelError, "expert_count")
    made = copy.deepcopy(sound)
    made.keys["general.typf"] = (T.STRING, "model")
    path = made.write(tmp_path / "twice.gguf")
    path.write_bytes(path.read_bytes().replace(b"general.typf", b"general.type"))
    refused(path, tiny_source, errors.BadCheckpointError, "general.type comes twice")
    made = copy.deepcopy(sound)
    made.tensors.append(copy.deepcopy(made.tensor(NORM)))
    refused(
        made.write(tmp_path / "twice.gguf"),
        tiny_source,
        errors.BadCheckpointError,
        NORM,
        "bad head",
    )


def test_no_file_and_no_folder(tiny_source: Path, tmp_path: Path) -> None:
    refused(tmp_path / "none.gguf", tiny_source, errors.MissingFileError, "not found")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_a_folder_without(name: str, sound: PublishedGguf, tiny: Path, tmp_path: Path) -> None:
    (tiny / name).unlink()
    path = sound.write(tmp_path / "a.gguf")
    request = BuildRequest(
        checkpoint=path, tokenizer=tiny, out=tmp_path / "e", precision="gguf", skip_verify=True
    )
    with pytest.raises(errors.MissingFileError, match=name):
        build_engine(request, SilentReporter())


def test_a_tokenizer_of_another_model(sound: PublishedGguf, tiny: Path, tmp_path: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    config["text_config"]["num_experts"] = 16
    (tiny / "config.json").write_text(json.dumps(config))
    path = sound.write(tmp_path / "a.gguf")
    refused(path, tiny, errors.UnsupportedModelError, "gemma4.expert_count is 8", "16")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"tokenizer": None}, "--tokenizer: is missing"),
        ({"precision": "int4"}, "--precision int4: the weights of a GGUF file stay"),
        ({"threads": 2}, "--threads"),
        ({"runtime": "tensorrt_llm", "precision": "bf16"}, "--runtime tensorrt_llm"),
        ({"runtime": "synthetic"}, "--runtime synthetic"),
    ],
)
def test_options(options: dict[str, Any], word: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"GGUF")
    for name in ("a", "b.gguf", "B.GGUF"):
        given: dict[str, Any] = {"tokenizer": tmp_path / "t", "precision": "gguf"} | options
        with pytest.raises(errors.BadOptionError, match=word):
            BuildRequest(checkpoint=tmp_path / name, out=tmp_path / "o", **given)


def test_a_folder_needs_no_tokenizer(tiny_source: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.BadOptionError, match="--tokenizer: is for a GGUF file only"):
        BuildRequest(checkpoint=tiny_source, tokenizer=tiny_source, out=tmp_path / "o")
    with pytest.raises(errors.BadOptionError, match="--precision gguf: known are"):
        BuildRequest(checkpoint=tiny_source, precision="gguf", out=tmp_path / "o")


@pytest.mark.parametrize("out", ["t", "t/engine", "."])
def test_target_beside_the_tokenizer(out: str, tmp_path: Path) -> None:
    with pytest.raises(errors.BadOptionError, match="apart from the checkpoint"):
        BuildRequest(
            checkpoint=tmp_path / "f" / "a.gguf", tokenizer=tmp_path / "t", precision="gguf",
            out=tmp_path / out,
        )  # fmt: skip
