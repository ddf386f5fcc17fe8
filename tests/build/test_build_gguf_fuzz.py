"""A damaged GGUF file is refused in one clear line, or builds something that can be served.

More cases: ``python tests/build/test_build_gguf_fuzz.py CHECKPOINT FIRST CASES``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random

from gemma4_build.errors import BuildError
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.published.head import read_head
from gemma4_build.request import BuildRequest
from gemma4_build.shards import open_file
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_testing.engine_folders.published_gguf import publish
from gemma4_testing.file_damage import damage_bytes
from gemma4_testing.fuzz_count import fuzz_count
from gguf import GGMLQuantizationType

MOST_S = 30
WAYS_OUT = ("download", "take a", "join them")
_EXTREME = (0, 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**64 - 1)


@cache
def sound(source: Path) -> tuple[bytes, bytes]:
    """A file's head and its tensors."""
    made = publish(source, GGMLQuantizationType.Q8_0)
    head = made.head()
    with tempfile.TemporaryDirectory() as folder:
        return head, made.write(Path(folder) / "f").read_bytes()[len(head) :]


def damage(head: bytes, random: Random) -> bytes:
    """A head with a few bytes changed near its ends, where counts, keys and tensors are; with a
    number that is absurd; or cut and stretched anywhere."""
    kind = random.randrange(4)
    near = random.choice((64, 3000, len(head)))
    at = random.randrange(near) if random.random() < 0.5 else len(head) - 1 - random.randrange(near)
    if kind == 0:
        changed = bytearray(head)
        for place in range(at, min(at + random.randint(1, 3), len(head))):
            changed[place] ^= 1 << random.randrange(8)
        return bytes(changed)
    if kind == 1:
        number = random.choice(_EXTREME).to_bytes(8, "little")
        return head[:at] + number + head[at + 8 :]
    if kind == 2:
        return head[:at] + random.randbytes(random.randint(1, 40)) + head[at:]
    return damage_bytes(head, random)


def one_case(source: Path, seed: int, root: Path) -> str:
    """Return "built" or the kind of the refusal. Raises :class:`AssertionError`."""
    random = Random(seed)
    head, data = sound(source)
    path, out = root / "wrong.gguf", root / "out" / "engine"
    path.write_bytes(damage(head, random) + data)
    began = time.monotonic()
    try:
        file = open_file(path)
        try:
            read_head(file)
        finally:
            file.close()
        build_engine(
            BuildRequest(
                checkpoint=path, tokenizer=source, out=out, precision="gguf", skip_verify=True,
                force=True,
            ),
            SilentReporter(),
        )  # fmt: skip
    except BuildError as error:
        text = str(error)
        assert text.isprintable() and len(text) < 3000, (seed, text)
        assert any(way in text for way in WAYS_OUT), (seed, text)
        return type(error).__name__
    finally:
        assert time.monotonic() - began < MOST_S, seed
    load_engine_folder(out, verify_hashes=True)
    return "built"


def test_damaged_heads(tiny_source: Path, tmp_path: Path) -> None:
    cases = fuzz_count(150)
    found = Counter(one_case(tiny_source, seed, tmp_path) for seed in range(cases))
    assert sum(found.values()) == cases and 0 < found["built"] < cases
    assert len(found) > 4, found


if __name__ == "__main__":
    first, count = int(sys.argv[2]), int(sys.argv[3])
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        for number in range(first, first + count):
            try:
                total[one_case(Path(sys.argv[1]), number, Path(name))] += 1
            except Exception as problem:  # noqa: BLE001 - a fuzzer shows whatever comes
                total["PROBLEM"] += 1
                print(number, type(problem).__name__, str(problem)[:300])
    print(dict(total))
