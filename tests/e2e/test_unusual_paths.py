"""A checkout, engine, run folder and TMPDIR whose paths a shell would tear apart, in an ASCII
locale."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from gemma4_testing.servers.process_tree import lasting
from gemma4_testing.servers.served import Served, user

ROOT = Path(__file__).parents[2]
PLAIN = "C" if sys.prefix.isascii() else "C.UTF-8"
"""The plainest locale in which Python finds this environment; see docs/install.md."""
SOURCES = ["runtime", "build", "clients", "load_tests", "serve", "cli"]


def test_a_server_in_a_folder_with_an_unusual_name(engines: Path, tmp_path: Path) -> None:
    place = tmp_path / "a b ü'$x"
    checkout = place / "checkout"
    for name in [*SOURCES, "model_repository", "nvidia_repository"]:
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run", "tmp"):
        (place / name).mkdir()
    engine = Path(shutil.copytree(engines / "f32", place / "engine"))
    before = set(Path("/tmp").glob("gemma4-links-*"))
    env = {
        "PYTHONPATH": os.pathsep.join(str(checkout / name) for name in SOURCES),
        "TMPDIR": str(place / "tmp"),
        "LC_ALL": PLAIN,
    }
    server = Served(engine, place / "run", env=env)
    try:
        with server.client() as client:
            answer = client.chat(user("What is 7 + 8?"), temperature=0.0).result()
        assert "15" in answer.text
        models = [
            p for p in lasting(server.process.pid) if "triton_python_backend_stub" in p.name()
        ]
        assert models
        loaded = models[0].environ()["GEMMA4_ENGINE_DIR"]
        assert Path(loaded).samefile(engine) and loaded.isascii()
    finally:
        assert server.stop() == 0
    assert str(engine) in server.text
    assert set(Path("/tmp").glob("gemma4-links-*")) == before
    assert list((place / "tmp").iterdir()) == []
    # The model processes ran the copy, not the tree of this test.
    assert list(checkout.glob("runtime/gemma4_runtime/server/__pycache__/engine.*"))
