"""Every wrong checkpoint is refused with its own error, and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build import errors
from gemma4_build.checkpoint import GIVE_FOLDER
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], None]
Q_PROJ = "model.language_model.layers.1.self_attn.q_proj.weight"


def refused(checkpoint: Path, kind: type[errors.BuildError], *words: str) -> None:
    out = checkpoint.parent / "out" / "engine"
    with pytest.raises(kind) as caught:
        build_engine(
            BuildRequest(checkpoint=checkpoint, out=out, skip_verify=True), SilentReporter()
        )
    assert type(caught.value) is kind
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not out.parent.exists() or not list(out.parent.iterdir())


def shard(folder: Path) -> Path:
    return folder / "model.safetensors"


CONFIGS: list[tuple[str, Callable[[dict[str, Any]], object], tuple[str, ...]]] = [
    (
        "gemma 3",
        lambda c: c.update(model_type="gemma3", architectures=["Gemma3ForConditionalGeneration"]),
        ("Gemma 3", "26B-A4B"),
    ),
    ("llama", lambda c: c.update(model_type="llama", architectures=["LlamaForCausalLM"]), ("Llama",)),
    ("E4B", lambda c: c["text_config"].update(hidden_size_per_layer_input=256), ("E2B/E4B",)),
    ("31B", lambda c: c["text_config"].update(enable_moe_block=False), ("dense", "31B")),
    ("quantized", lambda c: c.update(quantization_config={"quant_method": "fp8"}), ("fp8", "bf16")),
    ("untied", lambda c: c.update(tie_word_embeddings=False), ("tie_word_embeddings",)),
    ("k != v", lambda c: c["text_config"].update(attention_k_eq_v=False), ("attention_k_eq_v",)),
    ("rope", lambda c: c["text_config"]["rope_parameters"]["full_attention"].update(rope_type="yarn"),
     ("rope_type", "yarn")),
    ("all sliding", lambda c: c["text_config"].update(layer_types=["sliding_attention"] * 3),
     ("layer_types",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "words"), CONFIGS, ids=[c[0] for c in CONFIGS])
def test_other_models(
    name: str,
    change: Callable[[dict[str, Any]], object],
    words: tuple[str, ...],
    tiny: Path,
    edit_json: Edit,
) -> None:
    del name
    edit_json(tiny / "config.json", change)
    refused(
        tiny, errors.UnsupportedModelError, "26B-A4B" if words[-1] != "bf16" else "bf16", *words
    )


@pytest.mark.parametrize("key", ["hidden_size", "num_experts", "sliding_window", "layer_types"])
def test_config_without_a_key(key: str, tiny: Path, edit_json: Edit) -> None:
    edit_json(tiny / "config.json", lambda c: c["text_config"].pop(key))
    refused(tiny, errors.BadCheckpointError, f"text_config.{key}")


def test_config_without_either_style(tiny: Path, edit_json: Edit) -> None:
    edit_json(tiny / "config.json", lambda c: c["text_config"].pop("global_head_dim"))
    refused(tiny, errors.BadCheckpointError, "global_head_dim", "per_layer_config")


def test_config_is_not_json(tiny: Path) -> None:
    (tiny / "config.json").write_text("{")
    refused(tiny, errors.BadCheckpointError, "config.json", "not JSON")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja",
                                  "generation_config.json", "model.safetensors"])  # fmt: skip
def test_missing_file(name: str, tiny: Path) -> None:
    (tiny / name).unlink()
    refused(tiny, errors.MissingFileError, name)


@pytest.mark.parametrize("what", ["nothing", "a file", "a folder with a GGUF", "neither"])
def test_no_checkpoint_has_one_way_out(what: str, tiny: Path) -> None:
    """Whatever is given instead of a checkpoint, the error says which one to get."""
    path, said = tiny.parent / "other", "not a folder"
    if what == "a file":
        path.write_bytes(b"x")
    if what == "a folder with a GGUF":
        path.mkdir()
        (path / "gemma-Q4_K_M.gguf").write_bytes(b"GGUF")
        said = "gemma-Q4_K_M.gguf"
    if what == "neither":
        path, said = tiny, "not a safetensors checkpoint"
        shard(tiny).unlink()
    refused(path, errors.MissingFileError, said, GIVE_FOLDER)


def test_unknown_tensor(tiny: Path, edit_header: Edit) -> None:
    def rename(header: dict[str, Any]) -> None:
        header["model.language_model.layers.1.extra.weight"] = header.pop(Q_PROJ)

    edit_header(shard(tiny), rename)
    refused(tiny, errors.UnknownTensorError, "layers.1.extra.weight")


def test_untied_head_is_named(tiny: Path, edit_header: Edit) -> None:
    edit_header(shard(tiny), lambda h: h.update({"lm_head.weight": h.pop(Q_PROJ)}))
    refused(tiny, errors.UnknownTensorError, "lm_head.weight", "untied")


def drop_last(header: dict[str, Any]) -> int:
    name = max((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])
    return int(header.pop(name)["data_offsets"][0])


def test_missing_tensor(tiny: Path, edit_header: Edit) -> None:
    edit_header(shard(tiny), drop_last)
    refused(tiny, errors.MissingTensorError, "vision_tower", "vision_config")


def test_misshapen_tensor(tiny: Path, edit_header: Edit) -> None:
    edit_header(shard(tiny), lambda h: h[Q_PROJ].update(shape=h[Q_PROJ]["shape"][::-1]))
    refused(tiny, errors.MisshapenTensorError, Q_PROJ, "[64, 128]", "[128, 64]")


def test_quantized_tensor(tiny: Path, edit_header: Edit) -> None:
    def halve(header: dict[str, Any]) -> None:
        rows, columns = header[Q_PROJ]["shape"]
        header[Q_PROJ].update(dtype="U8", shape=[rows, 2 * columns])

    edit_header(shard(tiny), halve)
    refused(tiny, errors.MisshapenTensorError, Q_PROJ)


def test_wrong_element_type(tiny: Path, edit_header: Edit) -> None:
    edit_header(shard(tiny), lambda h: h[Q_PROJ].update(dtype="I16"))
    refused(tiny, errors.MisshapenTensorError, Q_PROJ, "I16", "bf16")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_shard(keep: int, tiny: Path) -> None:
    data = shard(tiny).read_bytes()
    shard(tiny).write_bytes(data[:keep])
    refused(tiny, errors.TruncatedFileError, "model.safetensors", "download it again")


def test_shard_too_long(tiny: Path) -> None:
    with shard(tiny).open("ab") as file:
        file.write(b"x")
    refused(tiny, errors.TruncatedFileError, "too long")


def test_not_a_shard(tiny: Path) -> None:
    shard(tiny).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    refused(tiny, errors.BadCheckpointError, "not a safetensors file")


def test_header_with_overlapping_data(tiny: Path, edit_header: Edit) -> None:
    edit_header(shard(tiny), lambda h: h[Q_PROJ].update(data_offsets=[0, 16384]))
    refused(tiny, errors.BadCheckpointError, "bad header")


def index(folder: Path) -> Path:
    return folder / "model.safetensors.index.json"


def test_index_names_a_missing_shard(sharded: Path) -> None:
    (sharded / "model-00002-of-00004.safetensors").unlink()
    refused(sharded, errors.MissingFileError, "model-00002-of-00004.safetensors")


def test_shards_without_index(sharded: Path) -> None:
    index(sharded).unlink()
    refused(sharded, errors.BadIndexError, "download the index")


@pytest.mark.parametrize("text", ["{", "[]", '{"weight_map": []}', "{}"])
def test_bad_index(text: str, sharded: Path) -> None:
    index(sharded).write_text(text)
    refused(sharded, errors.BadIndexError, "index.json")


def test_index_points_to_the_wrong_shard(sharded: Path, edit_json: Edit) -> None:
    last = "model-00004-of-00004.safetensors"
    edit_json(index(sharded), lambda i: i["weight_map"].update({Q_PROJ: last}))
    refused(sharded, errors.BadIndexError, Q_PROJ)


def test_index_lacks_a_tensor(sharded: Path, edit_json: Edit) -> None:
    edit_json(index(sharded), lambda i: i["weight_map"].pop(Q_PROJ))
    refused(sharded, errors.BadIndexError, Q_PROJ)


def test_index_points_outside(sharded: Path, edit_json: Edit) -> None:
    edit_json(index(sharded), lambda i: i["weight_map"].update({Q_PROJ: "../x.safetensors"}))
    refused(sharded, errors.BadIndexError, "../x.safetensors")


def test_tokenizer_of_another_size(tiny: Path, edit_json: Edit) -> None:
    edit_json(tiny / "tokenizer.json", lambda t: t["model"]["vocab"].pop("▁▁"))
    refused(tiny, errors.TokenizerError, "vocab_size", "id 138 is free")


def test_stop_ids_that_llama_cpp_would_not_stop_at(tiny: Path, edit_json: Edit) -> None:
    edit_json(tiny / "generation_config.json", lambda g: g.update(eos_token_id=[1, 106, 107]))
    refused(tiny, errors.TokenizerError, "eos_token_id", "107")


def test_added_text_that_contains_a_control_token(tiny: Path, edit_json: Edit) -> None:
    def add(data: dict[str, Any]) -> None:
        vocab = data["model"]["vocab"]
        vocab["<|turn>user"] = vocab.pop("<unused0>")
        entry = data["added_tokens"][0] | {"content": "<|turn>user", "special": False}
        data["added_tokens"].append(entry | {"id": vocab["<|turn>user"]})

    edit_json(tiny / "tokenizer.json", add)
    refused(tiny, errors.TokenizerError, "'<|turn>user'", "<|turn>;", "must be special")


def test_other_tokenizer(tiny: Path, edit_json: Edit) -> None:
    edit_json(tiny / "tokenizer.json", lambda t: t["model"].update(byte_fallback=False))
    refused(tiny, errors.TokenizerError, "byte fallback")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"precision": "int3"}, "--precision int3"),
        ({"runtime": "vllm"}, "--runtime vllm"),
        ({"slots": 0}, "--slots 0"),
        ({"max_queued": -1}, "--max-queued -1"),
        ({"max_total_tokens": 1}, "--max-total-tokens 1"),
        ({"decode_tokens_per_s": 5.0}, "--decode-tokens-per-s"),
        ({"runtime": "synthetic", "decode_tokens_per_s": 0.0}, "--decode-tokens-per-s 0"),
        ({"tokens_per_step": 2}, "--tokens-per-step: is for --runtime synthetic"),
        ({"runtime": "synthetic", "tokens_per_step": 0}, "--tokens-per-step 0"),
    ],
)
def test_bad_options(options: dict[str, Any], word: str, tmp_path: Path) -> None:
    with pytest.raises(errors.BadOptionError, match=word):
        BuildRequest(checkpoint=tmp_path / "c", out=tmp_path / "o", **options)


@pytest.mark.parametrize("out", ["c", "c/engine", "."])
def test_target_inside_the_checkpoint(out: str, tmp_path: Path) -> None:
    with pytest.raises(errors.BadOptionError, match="apart from the checkpoint"):
        BuildRequest(checkpoint=tmp_path / "c", out=tmp_path / out)


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ({"max_total_tokens": 2049}, "context is 2048"),
        ({"max_total_tokens": 100, "max_prompt_tokens": 100}, "--max-prompt-tokens 100"),
    ],
)
def test_limits_beyond_the_model(
    limits: dict[str, Any], word: str, tiny_source: Path, tmp_path: Path
) -> None:
    request = BuildRequest(checkpoint=tiny_source, out=tmp_path / "o", skip_verify=True, **limits)
    with pytest.raises(errors.BadOptionError, match=word):
        build_engine(request, SilentReporter())
    assert not list(tmp_path.iterdir())


def test_samples_cover_the_manifest(tiny_source: Path, tmp_path: Path) -> None:
    """The source's identity in the manifest changes with one changed weight of the sample."""
    from gemma4_build.checkpoint import open_checkpoint, source_files

    with open_checkpoint(tiny_source) as checkpoint:
        before = source_files(tiny_source, checkpoint.shards)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tiny_source.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    raw = bytearray(shard(copy).read_bytes())
    raw[-1] ^= 1
    shard(copy).write_bytes(raw)
    with open_checkpoint(copy) as checkpoint:
        after = source_files(copy, checkpoint.shards)
    assert before[:-1] == after[:-1]
    assert before[-1].sha256 != after[-1].sha256
    assert json.dumps(before[-1].model_dump())
