"""The GGUF file holds exactly what the checkpoint holds."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gemma4_build.checkpoint import open_checkpoint
from gemma4_build.pipeline import build_engine
from gemma4_build.precision import PRECISIONS
from gemma4_build.progress import SilentReporter
from gemma4_build.quantize import convert_slice
from gemma4_build.request import BuildRequest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, TokenType, quants

# Largest error in steps of the block: rounding to nearest gives 1/2 and Q4_0 clips the far end of
# its range (a whole step); a float16 scale is off by up to 2**-11, times 127 or 8 steps.
Q8_STEP, Q4_STEP = 0.57, 1.01


def convert(checkpoint: Path, out: Path, precision: str, **options: object) -> Path:
    request = BuildRequest(
        checkpoint=checkpoint, out=out, precision=precision, skip_verify=True, **options
    )
    build_engine(request, SilentReporter())
    return out / "model.gguf"


@pytest.fixture(scope="module")
def built(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("built")
    return {name: convert(tiny_source, out / name, name) for name in PRECISIONS}


def stored(path: Path) -> dict[str, tuple[Kind, np.ndarray[Any, Any]]]:
    return {t.name: (t.tensor_type, np.array(t.data)) for t in GGUFReader(path).tensors}


@pytest.mark.parametrize("precision", list(PRECISIONS))
def test_every_tensor_is_bitwise_what_gguf_makes_of_the_source(
    precision: str, built: dict[str, Path], tiny_source: Path
) -> None:
    found = stored(built[precision])
    wanted = PRECISIONS[precision]
    with open_checkpoint(tiny_source) as checkpoint:
        for rule in checkpoint.rules:
            if rule.kind == "unused":
                continue
            kind, data = found.pop(rule.gguf)
            expected_kind = {
                "exact": Kind.F32, "matrix": wanted.matrix, "embedding": wanted.embedding
            }[rule.kind]  # fmt: skip
            assert kind == expected_kind, rule.name
            source = checkpoint.tensors[rule.name].read_float32().reshape(rule.shape)
            expected = quants.quantize(source, kind)
            assert data.tobytes() == expected.tobytes(), rule.name
            if kind == Kind.BF16:
                raw = checkpoint.tensors[rule.name].read()
                assert data.tobytes() == raw.tobytes(), rule.name
    assert set(found) == {"rope_freqs.weight"}
    factors = found["rope_freqs.weight"][1]
    assert factors.tolist() == [1.0] * 8 + [np.float32(1e30)] * 24


@pytest.mark.parametrize(
    ("kind", "levels", "bound"), [(Kind.Q8_0, 127, Q8_STEP), (Kind.Q4_0, 8, Q4_STEP)]
)
def test_quantization_error_is_bounded(kind: Kind, levels: int, bound: float) -> None:
    values = np.random.default_rng(1).standard_normal((64, 704), dtype=np.float32)
    values[0, :32] = 0
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    source = (bits.astype(np.uint32) << 16).view(np.float32)
    data = convert_slice(bits.view(np.uint8).reshape(-1), "BF16", kind)
    assert data.tobytes() == quants.quantize(source, kind).tobytes()
    row_bytes = data.size // 64
    back = quants.dequantize(data.reshape(64, row_bytes), kind)
    step = np.abs(source.reshape(-1, 32)).max(axis=1, keepdims=True) / levels
    assert np.all(np.abs(back - source).reshape(-1, 32) <= bound * step)
    assert np.all(back[0, :32] == 0)


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_0, Kind.BF16, Kind.F32])
def test_slices_join_to_the_whole(kind: Kind) -> None:
    values = np.random.default_rng(2).standard_normal((96, 704), dtype=np.float32).reshape(-1)
    whole = convert_slice(values.view(np.uint8), "F32", kind)
    cut = 32 * 777 * 4
    raw = values.view(np.uint8)
    parts = [
        convert_slice(raw[:cut].copy(), "F32", kind),
        convert_slice(raw[cut:].copy(), "F32", kind),
    ]
    assert b"".join(p.tobytes() for p in parts) == whole.tobytes()


def test_keys_of_the_model(built: dict[str, Path]) -> None:
    reader = GGUFReader(built["int4"])
    keys = {name: field.contents() for name, field in reader.fields.items()}
    assert keys["general.architecture"] == "gemma4"
    assert keys["general.file_type"] == gguf.LlamaFileType.MOSTLY_Q4_0
    assert keys["gemma4.attention.head_count_kv"] == [2, 2, 1]
    assert keys["gemma4.attention.sliding_window_pattern"] == [True, True, False]
    assert keys["gemma4.attention.key_length"] == 64
    assert keys["gemma4.attention.key_length_swa"] == 32
    assert keys["gemma4.rope.freq_base"] == 1e6
    assert keys["gemma4.rope.freq_base_swa"] == 1e4
    assert keys["gemma4.final_logit_softcapping"] == 30.0
    assert keys["gemma4.expert_used_count"] == 2
    assert keys["tokenizer.ggml.model"] == "gemma4"
    assert "tokenizer.ggml.pre" not in keys
    assert keys["gemma4_triton.byte_tokens"] == "literal"


def test_token_types(built: dict[str, Path], tiny_source: Path, tmp_path: Path) -> None:
    fields = GGUFReader(built["f32"]).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = dict(zip(tokens, fields["tokenizer.ggml.token_type"].contents(), strict=True))
    assert types["<0x00>"] == types["<0xFF>"] == TokenType.NORMAL
    assert types["<eos>"] == types["<turn|>"] == types["<bos>"] == TokenType.CONTROL
    markers = ("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", '<|"|>')
    assert {types[m] for m in (*markers, "<|tool_response>")} == {TokenType.CONTROL}
    vocab = json.loads((tiny_source / "tokenizer.json").read_text())["model"]["vocab"]
    assert all(tokens[token_id] == text for text, token_id in vocab.items())
    other = convert(tiny_source, tmp_path / "byte", "f32", literal_bytes=False)
    fields = GGUFReader(other).fields
    kinds = fields["tokenizer.ggml.token_type"].contents()
    assert kinds[tokens.index("<0x7F>")] == TokenType.BYTE
    assert kinds.count(TokenType.BYTE) == 256
    assert fields["gemma4_triton.byte_tokens"].contents() == "byte"


def test_shards_and_config_styles_do_not_matter(
    built: dict[str, Path], sharded: Path, tmp_path: Path
) -> None:
    config = json.loads((sharded / "config.json").read_text())
    text = config["text_config"]
    heads = text.pop("num_global_key_value_heads")
    text["per_layer_config"] = {
        "02": {"head_dim": text.pop("global_head_dim"), "num_key_value_heads": heads}
    }
    (sharded / "config.json").write_text(json.dumps(config))
    assert len(list(sharded.glob("*.safetensors"))) == 4
    same_name = Path(shutil.move(sharded, tmp_path / "other" / "tiny"))
    again = convert(same_name, tmp_path / "out", "int8")
    assert again.read_bytes() == built["int8"].read_bytes()


def test_rows_that_are_no_multiple_of_a_block_stay_bf16(
    demo_checkpoint: Path, tmp_path: Path
) -> None:
    from gemma4_build.random_checkpoint import PRESETS, write_checkpoint

    preset = dataclasses.replace(PRESETS["tiny"], moe_intermediate=48)
    write_checkpoint(tmp_path / "c", preset, tokenizer=demo_checkpoint)
    request = BuildRequest(checkpoint=tmp_path / "c", out=tmp_path / "out", precision="int8")
    assert build_engine(request, SilentReporter()).manifest.verified
    kinds = {name: kind for name, (kind, _) in stored(tmp_path / "out" / "model.gguf").items()}
    assert kinds["blk.0.ffn_down_exps.weight"] == Kind.BF16
    assert kinds["blk.0.ffn_gate_up_exps.weight"] == Kind.Q8_0
    # Four bits are too few for random weights: types only.
    kinds4 = {n: k for n, (k, _) in stored(convert(tmp_path / "c", tmp_path / "4", "int4")).items()}
    assert kinds4["blk.0.ffn_down_exps.weight"] == Kind.BF16
    assert kinds4["blk.0.ffn_gate_up_exps.weight"] == Kind.Q4_0


def test_text_only_checkpoint(tmp_path: Path, demo_checkpoint: Path) -> None:
    from gemma4_build.random_checkpoint import PRESETS, write_checkpoint

    write_checkpoint(tmp_path / "c", PRESETS["tiny"], tokenizer=demo_checkpoint, vision=False)
    assert convert(tmp_path / "c", tmp_path / "out", "bf16").exists()


def test_preset_26b_has_the_published_tensors() -> None:
    from gemma4_build.model_spec import parse_config
    from gemma4_build.random_checkpoint import PRESETS, config_for
    from gemma4_build.tensor_table import checkpoint_tensors

    spec = parse_config(config_for(PRESETS["26b"], 262144), where="26b")
    rules = checkpoint_tensors(spec)
    assert len(rules) == 1013
    assert sum(2 * int(np.prod(rule.shape, dtype=np.int64)) for rule in rules) == 51_611_872_412
    assert [n for n, s in enumerate(spec.sliding) if not s] == [5, 11, 17, 23, 29]
    assert (spec.kv_values_sliding * 2, spec.kv_values_full * 2) == (204_800, 20_480)
