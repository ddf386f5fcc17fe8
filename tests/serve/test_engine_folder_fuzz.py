"""A damaged engine folder is refused in one clear line by serve, doctor and build, or is whole.

More cases: ``python tests/serve/test_engine_folder_fuzz.py CHECKPOINT FIRST CASES``.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from gemma4_build.errors import BuildError
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_runtime.manifest import EngineFolderError
from gemma4_serve.doctor.engine import check_engine
from gemma4_serve.errors import ServeError
from gemma4_serve.ports import Ports
from gemma4_serve.process import ServerOptions
from gemma4_serve.runtime_checks import check_runtime
from gemma4_testing.file_damage import damage_bytes, damage_json

ROOT = Path(__file__).parents[2]
RUNTIMES = ("synthetic", "llama_cpp", "tensorrt_llm")
MOST_S = 10
TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}"
"""Short: each case builds, and a build compiles the checkpoint's template, which is whole, thrice."""
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(97 + i)}: &{chr(97 + i)} [{','.join([f'*{chr(96 + i)}'] * 9)}]\n" for i in range(1, 10)
)
YAML = (
    BOMB, "a: " + "[" * 100_000, "{" * 100_000, "model: checkpoint\nmodel: other\n", "a: 0o" + "7" * 99,
    "2001-99-99: 1", "a: 2001-99-99", "a: " + "9" * 5000, "!!python/object/apply:os.system [id]", "",
    "? [a]\n: b", "- a", "a: .nan", "model: \x00", "\xff", "model: 5", "*a", "%YAML 9.9\n---\na: b",
    "max_batch_size: 99999999999999999999\n", "max_seq_len: .inf\n", "tensor_parallel_size: 0\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("engines")
    write_checkpoint(root / "checkpoint", PRESETS["tiny"], tokenizer=ROOT / "demo" / "checkpoint")
    (root / "checkpoint" / "chat_template.jinja").write_text(TEMPLATE)
    make_engines(root)
    return root


def request_for(root: Path, out: Path, runtime: str) -> BuildRequest:
    return BuildRequest(
        checkpoint=root / "checkpoint", out=out, runtime=runtime, precision="bf16",
        skip_verify=True,
    )  # fmt: skip


def make_engines(root: Path) -> None:
    for runtime in RUNTIMES:
        build_engine(request_for(root, root / runtime, runtime), SilentReporter())


def spoil(folder: Path, random: Random) -> str:
    name = (
        "engine.json"
        if random.random() < 0.7
        else random.choice(sorted(p.name for p in folder.iterdir()))
    )
    path = folder / name
    kind = random.randrange(12)
    if kind == 0 and path.is_file():
        path.unlink()
        random.choice((
            path.mkdir, lambda: path.symlink_to(name), lambda: os.mkfifo(path),
            lambda: path.symlink_to("/dev/zero"), lambda: None,
        ))()  # fmt: skip
    elif name == "llm_args.yaml" and kind < 9:
        lines = path.read_text().splitlines(keepends=True)
        extra = random.choice(YAML)
        path.write_text(extra if kind < 5 else "".join(lines) + extra, encoding="utf-8")
    elif path.is_file():
        damage = damage_json if name == "engine.json" and kind < 10 else damage_bytes
        path.write_bytes(damage(path.read_bytes(), random))
    return name


def clear(text: str, *where: object) -> None:
    assert text.isprintable() and 20 < len(text) < 3000, (*where, text)


def one_case(root: Path, scratch: Path, seed: int) -> str:
    random = Random(seed)
    runtime = random.choice(RUNTIMES)
    folder = scratch / f"{seed}"
    shutil.copytree(root / runtime, folder)
    what = spoil(folder, random)
    began = time.monotonic()
    found = "whole"
    try:
        manifest = load_engine_folder(folder, verify_hashes=True).manifest
        options = ServerOptions(folder, folder, folder, "127.0.0.1", Ports(1, 2, 3))
        check_runtime(options, manifest)
    except (EngineFolderError, ServeError) as error:
        clear(str(error), seed, what)
        found = type(error).__name__
    _, results = check_engine(folder, "no driver")
    assert results and all(result.detail for result in results)
    try:
        build_engine(request_for(root, folder, runtime), SilentReporter())
    except BuildError as error:
        clear(str(error), seed, what)
    assert time.monotonic() - began < MOST_S, (seed, what)
    assert [path.name for path in scratch.iterdir()] == [folder.name], (seed, what)
    shutil.rmtree(folder)
    return found


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_damaged_engine_folders(first: int, engines: Path, tmp_path: Path) -> None:
    found = Counter(one_case(engines, tmp_path, seed) for seed in range(first, first + 50))
    assert sum(found.values()) == 50 and found["whole"] < 50


@pytest.mark.parametrize("text", YAML, ids=range(len(YAML)))
def test_llm_args_that_a_person_spoiled(text: str, engines: Path, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(engines / "tensorrt_llm", folder)
    (folder / "llm_args.yaml").write_bytes(text.encode("latin-1"))
    manifest = load_engine_folder(folder, verify_hashes=True).manifest
    options = ServerOptions(folder, folder, folder, "127.0.0.1", Ports(1, 2, 3))
    began = time.monotonic()
    with pytest.raises(ServeError, match=r"llm_args\.yaml") as caught:
        check_runtime(options, manifest)
    clear(str(caught.value))
    assert time.monotonic() - began < 5


if __name__ == "__main__":
    import tempfile

    begin, count = int(sys.argv[2]), int(sys.argv[3])
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        shutil.copytree(sys.argv[1], base / "checkpoint")
        make_engines(base)
        for number in range(begin, begin + count):
            work = base / f"work-{number}"
            work.mkdir()
            try:
                total[one_case(base, work, number)] += 1
            except Exception as problem:  # noqa: BLE001 - a fuzzer shows whatever comes
                total["PROBLEM"] += 1
                print(number, type(problem).__name__, str(problem)[:400])
            shutil.rmtree(work, ignore_errors=True)
    print(dict(total))
