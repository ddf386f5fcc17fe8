"""How small a damage the quality gate sees: ``python bench/gate_damage.py --precision int4``.

The demo engine answers its recorded prompts, sound at first, as a server's does in its first run.
Then its weights are damaged while it is loaded: one bit of a number, a row, 1 % or all of a matrix
is overwritten, at ``--places`` random places of each kind of matrix, and mended again. Matrices
that llama.cpp has repacked into its own memory are changed there, the others in the file, whose
pages it has mapped. Printed is how many of the places the gate's own rules catch, and how many of
them the tokens alone would have given away.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.output.vocab import load_token_table
from gemma4_runtime.recorded_answers import read_recorded
from gemma4_runtime.server.gate.replay import Replay
from gemma4_runtime.server.gate.verdict import compare, judge, rules_for
from gemma4_runtime.settings import Settings
from gemma4_testing.damage import Matrix, find_in_memory, matrices, overwritten

CHECKPOINT = Path(__file__).resolve().parents[1] / "demo" / "checkpoint"
KINDS = {
    "embedding and head": "token_embd.weight", "attention q": "blk.0.attn_q.weight",
    "attention k": "blk.0.attn_k.weight", "attention v": "blk.0.attn_v.weight",
    "attention output": "blk.3.attn_output.weight", "router": "blk.2.ffn_gate_inp.weight",
    "experts, gate and up": "blk.2.ffn_gate_up_exps.weight",
    "experts, down": "blk.4.ffn_down_exps.weight", "dense part, down": "blk.1.ffn_down.weight",
    "norm of a layer": "blk.3.attn_norm.weight", "last norm": "output_norm.weight",
}  # fmt: skip
SIZES = ("1 bit", "1 row", "1 %", "100 %")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="f32", choices=("f32", "int8", "int4"))
    parser.add_argument("--places", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def address_of(pid: int, model: Path, matrix: Matrix) -> int | None:
    """In a process of its own: this one's memory would have what is looked for. None for what
    llama.cpp does not repack; it may have been read somewhere, but is not computed with there."""
    if matrix.kind == "F32":
        return None
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply(find_in_memory, (pid, model, matrix))
        except LookupError:
            return None


@contextmanager
def in_file(model: Path, start: int, content: bytes) -> Iterator[None]:
    with model.open("r+b") as file:
        before = os.pread(file.fileno(), len(content), start)
        os.pwrite(file.fileno(), content, start)
        yield
        os.pwrite(file.fileno(), before, start)


def damage(matrix: Matrix, size: str, rng: random.Random, sound: bytes) -> tuple[int, bytes]:
    """Offset in the matrix, and what is written there."""
    if size == "1 bit":  # the highest but one of a byte: in a float32's last byte, of its exponent
        place = rng.randrange(matrix.size // 4) * 4 + 3
        return place, bytes([sound[place] ^ 0x40])
    if size == "100 %":
        return 0, bytes(matrix.size)
    length = matrix.row if size == "1 row" else max(4, matrix.size // 100)
    place = rng.randrange(max(1, (matrix.size - length) // matrix.row + 1)) * matrix.row
    return place, bytes(length)


class Trial:
    """A loaded engine and what it answered when it was sound."""

    def __init__(self, folder: Path) -> None:
        self.model = folder / "model.gguf"
        manifest = read_manifest(folder)
        self.recorded = read_recorded(folder, manifest).answers
        self.rules = rules_for(manifest, read_recorded(folder, manifest))
        self.by_tokens = replace(self.rules, moved_build=1e9, moved_start=1e9)
        table = load_token_table(folder / "tokenizer.json")
        self.engine = create_engine(folder, manifest, table, Settings(folder, folder.parent))
        self.replay = Replay(self.engine, manifest.model.eos_ids)
        self.first = {each.name: self.replay.ask(each, 1) for each in self.recorded}

    def caught(self) -> tuple[bool, bool]:
        """By the gate, and by the tokens alone."""
        answers = [(each, self.replay.ask(each, 1)) for each in self.recorded]
        whole, by_tokens = (
            judge([compare(each, a, by, self.first[each.name]) for each, a in answers], by)
            for by in (self.rules, self.by_tokens)
        )
        return not (whole and whole.passed), not (by_tokens and by_tokens.passed)


class Place:
    """One matrix of a loaded engine, where it is computed with."""

    def __init__(self, folder: Path, name: str) -> None:
        self._trial = Trial(folder)
        self.matrix = matrices(self._trial.model)[name]
        # Before this process has a copy of the weights that would be found instead.
        self._address = address_of(os.getpid(), self._trial.model, self.matrix)
        assert self.sound(), "the engine does not repeat its own answers"

    def sound(self) -> bool:
        return self._trial.caught() == (False, False)

    def caught_with(self, offset: int, content: bytes) -> tuple[bool, bool]:
        """As :meth:`Trial.caught`, while ``content`` is at ``offset`` of the matrix."""
        change = (
            in_file(self._trial.model, self.matrix.start + offset, content)
            if self._address is None
            else overwritten(os.getpid(), self._address + offset, content)
        )
        with change:
            return self._trial.caught()

    def close(self) -> None:
        self._trial.engine.close()


def try_matrix(folder: Path, name: str, places: int, seed: int, out: Connection) -> None:
    """For each size send how many places there were, and how many were caught: by the gate, and by
    tokens. A damage that gives NaN or infinity stays in the KV cache when the weights are mended
    (0 x NaN is NaN), so an engine that does not recover is loaded anew."""
    place, rng = Place(folder, name), random.Random(seed)
    matrix = place.matrix
    sound = (folder / "model.gguf").read_bytes()[matrix.start : matrix.start + matrix.size]
    for size in SIZES:
        found = []
        for _ in range(1 if size == "100 %" else places):
            found.append(place.caught_with(*damage(matrix, size, rng, sound)))
            if not place.sound():
                place.close()
                place = Place(folder, name)
        out.send(f"{sum(c for c, _ in found)}/{len(found)} ({sum(t for _, t in found)})")
    place.close()


def cells(folder: Path, name: str, options: argparse.Namespace) -> list[str]:
    """Return what :func:`try_matrix` sends, in a process of its own: some ends llama.cpp."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    work = folder / "work"
    shutil.copytree(folder / "e", work)
    args = (work, name, options.places, options.seed, there)
    process = context.Process(target=try_matrix, args=args)
    process.start()
    there.close()
    found = []
    try:
        while True:
            found.append(here.recv())
    except EOFError:
        process.join()
    shutil.rmtree(work)
    return found if len(found) == len(SIZES) else [*found, f"ended: {process.exitcode}"]


def main() -> None:
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="gate-damage-"))
    request = BuildRequest(checkpoint=CHECKPOINT, out=folder / "e", precision=options.precision)
    build_engine(request, SilentReporter())
    print(f"{options.precision}: caught of {options.places} places (by the tokens alone)")
    print(f"{'matrix':24}" + "".join(f"{size:>14}" for size in SIZES))
    for kind, name in KINDS.items():
        row = cells(folder, name, options)
        print(f"{kind:24}" + "".join(f"{each:>14}" for each in row), flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
