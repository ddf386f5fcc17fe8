"""The reference is transformers' float32; llama.cpp runs what was built; bad files fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_build import errors
from gemma4_build.checkpoint import open_checkpoint
from gemma4_build.manifest import llama_cpp_options
from gemma4_build.model_spec import read_config
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.reference import reference_logits
from gemma4_build.request import BuildRequest
from gemma4_build.verify import verify_gguf
from gemma4_build.verify.engine_run import Generated, run_greedy
from gemma4_build.verify.metrics import compare
from gemma4_build.verify.prompts import load_prompts
from gemma4_runtime.manifest import LlamaCppOptions


def request(checkpoint: Path, out: Path, precision: str, *, skip: bool = True) -> BuildRequest:
    return BuildRequest(checkpoint=checkpoint, out=out, precision=precision, skip_verify=skip)


def options_of(asked: BuildRequest) -> LlamaCppOptions:
    return llama_cpp_options(asked, read_config(asked.checkpoint))


@pytest.fixture(scope="module")
def f32(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildRequest:
    asked = request(tiny_source, tmp_path_factory.mktemp("f32") / "engine", "f32")
    build_engine(asked, SilentReporter())
    return asked


@pytest.mark.parametrize("name", ["tiny_source", "demo_checkpoint"])
def test_reference_is_transformers_in_float32(name: str, request: pytest.FixtureRequest) -> None:
    """Both round in an order of their own, which also depends on the processor. So each is compared
    with float64: the reference may differ from it as much as transformers' float32 does."""
    folder: Path = request.getfixturevalue(name)
    with open_checkpoint(folder) as checkpoint:
        beyond = 2 * checkpoint.spec.window + 5
        rng = np.random.default_rng(3)
        prompts = [[2, *map(int, rng.integers(494, 2000, n))] for n in (1, 12, beyond)]
        last = [1, 13, beyond]
        ours = reference_logits(checkpoint, prompts, last=last, reporter=SilentReporter())
    theirs = transformers_logits(folder, "float32", prompts)
    exact = transformers_logits(folder, "float64", prompts)
    for wanted, logits, float32, float64 in zip(last, ours, theirs, exact, strict=True):
        assert len(logits) == wanted and float64.std() > 0.5
        rounding = rms(float32[-wanted:] - float64[-wanted:])
        assert rounding < 1e-4
        assert rms(logits - float64[-wanted:]) < 3 * rounding


def transformers_logits(
    folder: Path, dtype: str, prompts: list[list[int]]
) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    import torch
    from transformers import Gemma4ForConditionalGeneration

    model = Gemma4ForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager"
    ).eval()
    with torch.no_grad():
        return [model(torch.tensor([prompt])).logits[0].double().numpy() for prompt in prompts]


def rms(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *(("demo_checkpoint", precision) for precision in ("f32", "bf16", "int8", "int4")),
        # Four bits are too few for random weights, whose best tokens are nearly tied.
        *(("tiny_source", precision) for precision in ("f32", "bf16", "int8")),
    ],
)
def test_built_engines_reach_their_thresholds(
    name: str, precision: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = request.getfixturevalue(name)
    asked = BuildRequest(checkpoint=source, out=tmp_path / "engine", precision=precision)
    quality = build_engine(asked, SilentReporter()).manifest.quality
    assert quality is not None
    assert quality.positions > 100
    if precision == "f32":
        assert quality.top1_agreement == 1.0
        assert quality.mean_kl < 1e-5


def test_prompts_are_text_and_some_are_longer_than_the_window(demo_checkpoint: Path) -> None:
    with open_checkpoint(demo_checkpoint) as checkpoint:
        window, vocab = checkpoint.spec.window, checkpoint.spec.vocab
    prompts = load_prompts(demo_checkpoint / "tokenizer.json", window=window)
    assert sum(len(prompt.ids) > 1.25 * window for prompt in prompts) >= 2
    assert all(prompt.ids[0] == 2 and prompt.ids.count(2) == 1 for prompt in prompts)
    assert all(max(prompt.ids) < vocab - 7 for prompt in prompts)
    assert len({prompt.name for prompt in prompts}) == len(prompts)


@pytest.mark.parametrize(
    "tensor", ["blk.1.post_ffw_norm_1.weight", "blk.0.ffn_gate_up_exps.weight"]
)
def test_a_wrong_tensor_fails(tensor: str, f32: BuildRequest, tmp_path: Path) -> None:
    from gguf import GGUFReader

    path = tmp_path / "model.gguf"
    path.write_bytes((f32.out / "model.gguf").read_bytes())
    reader = GGUFReader(path, "r+")
    wrong = next(t for t in reader.tensors if t.name == tensor)
    wrong.data[:] = np.roll(np.array(wrong.data).reshape(-1), 1).reshape(wrong.data.shape)
    reader.data.flush()
    with (
        open_checkpoint(f32.checkpoint) as checkpoint,
        pytest.raises(errors.QualityError, match="the f32 engine is too far"),
    ):
        verify_gguf(
            checkpoint, path, precision="f32", options=options_of(f32),
            reporter=SilentReporter(),
        )  # fmt: skip


def test_a_file_that_does_not_load(f32: BuildRequest, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes((f32.out / "model.gguf").read_bytes()[:50_000])
    with pytest.raises(errors.EngineRunError, match=r"model\.gguf"):
        run_greedy(path, [[2, 5]], options=options_of(f32), max_tokens=1, top_k=2)


def test_the_engine_process_ends_with_the_build(f32: BuildRequest, tmp_path: Path) -> None:
    """A killed build leaves no process with a loaded model behind."""
    job = {
        "model": str(f32.out / "model.gguf"),
        "prompts": [[2, 500]] * 10_000,
        "options": options_of(f32).model_dump(),
        "max_tokens": 100,
        "top_k": 2,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    with (tmp_path / "job.json").open() as source, (tmp_path / "result.json").open("w") as result:
        files = (source.fileno(), result.fileno())
        command = [sys.executable, "-m", "gemma4_build.verify.engine_run", *map(str, files)]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=files
        )
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=60) == 1
    assert not (tmp_path / "result.json").read_bytes()


def test_every_byte_token_is_streamed(f32: BuildRequest) -> None:
    """llama.cpp withholds byte tokens of BYTE type; ours arrive one by one."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(f32.out / "model.gguf")
    params.n_ctx = 512
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    first_byte = 238
    for byte in (0x00, 0x41, 0x80, 0xC3, 0xE2, 0xF0, 0xFF):
        chunks: list[dict[str, Any]] = []
        server.handle_completions(
            {
                "prompt": [2, 500, 501],
                "max_tokens": 6,
                "temperature": 0,
                "stream": True,
                "n_probs": 1,
                "logit_bias": [[first_byte + byte, 500.0]],
            },
            lambda chunk, seen=chunks: seen.append(chunk),
        )
        ids = [
            entry["id"]
            for chunk in chunks
            for entry in (chunk["choices"][0].get("logprobs") or {}).get("content", [])
        ]
        assert ids == [first_byte + byte] * 6, hex(byte)


@pytest.mark.parametrize("stop", [1, 50, 106])
def test_generation_ends_at_every_stop_id(stop: int, f32: BuildRequest) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(f32.out / "model.gguf")
    params.n_ctx = 512
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    answer = server.handle_completions(
        {"prompt": [2, 500], "max_tokens": 6, "temperature": 0, "logit_bias": [[stop, 500.0]]}
    )
    assert answer["usage"]["completion_tokens"] == 1
    assert answer["choices"][0]["finish_reason"] == "stop"
    other = server.handle_completions(
        {"prompt": [2, 500], "max_tokens": 6, "temperature": 0, "logit_bias": [[107, 500.0]]}
    )
    assert other["usage"]["completion_tokens"] == 6


def test_comparison_by_hand() -> None:
    """p = (1/2, 1/4, 1/4), q = (1/4, 1/2, 1/4); top 1 of q is token 1 with bucket 1/2 for the
    rest, p has 1/4 there: KL = 1/4 ln(1/2) + 3/4 ln(3/2)."""
    logits = np.log(np.array([[0.5, 0.25, 0.25]], dtype=np.float32))
    found = compare([(logits, Generated((1,), (((1, float(np.log(0.5))),),)))])
    assert found.positions == 1
    assert found.mean_kl == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5), abs=1e-6)
    assert found.top1_agreement == 0.0
    assert found.max_abs_delta_logprob == pytest.approx(np.log(2), abs=1e-6)


def test_equal_distributions_do_not_differ() -> None:
    rng = np.random.default_rng(4)
    logits = rng.standard_normal((5, 100)).astype(np.float32)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    order = np.argsort(-logits, axis=1)[:, :20]
    top = tuple(
        tuple((int(i), float(row[i])) for i in ids)
        for row, ids in zip(log_probs, order, strict=True)
    )
    found = compare([(logits, Generated(tuple(int(o[0]) for o in order), top))])
    assert found.mean_kl == pytest.approx(0, abs=1e-6)
    assert found.top1_agreement == 1.0


def test_a_missing_shared_library_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text(
        'raise ImportError("libgomp.so.1: cannot open shared object file: No such file")\n'
    )
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    options = LlamaCppOptions(
        kv_type="f16", flash_attention=True, byte_tokens="literal", micro_batch=64
    )
    with pytest.raises(errors.EngineRunError) as caught:
        run_greedy(tmp_path / "model.gguf", [[2]], options=options, max_tokens=1, top_k=1)
    text = str(caught.value)
    assert "libgomp.so.1: cannot open shared object file" in text
    assert "libgomp" in text.splitlines()[-1] and "Traceback" not in text
    assert "\\n" not in text
    assert len(text.splitlines()) > 2
