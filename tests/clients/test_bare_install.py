"""The bare install is light, and says what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
BARE = {"async-timeout", "grpcio", "numpy", "prompt-toolkit", "protobuf", "rich", "tenacity", "tritonclient", "typer",
        "typing-extensions"}  # fmt: skip

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""
# Everything that an extra brings and the bare install does not.
BLOCKED = (
    "httpx", "httpcore", "anyio", "diskcache", "pydantic", "msgspec", "orjson", "jsonschema",
    "tokenizers", "transformers", "torch", "llguidance", "gguf", "safetensors", "psutil", "yaml",
    "jinja2", "aiohttp", "prompt_toolkit", "xllamacpp",
)  # fmt: skip


def run(code: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", f"BLOCKED = {BLOCKED!r}\n{BLOCK}\n{code}"],
        capture_output=True, text=True, timeout=240, cwd=ROOT,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_bare_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {Requirement(line).name for line in project["dependencies"]} == BARE


def test_it_imports_and_answers_without_the_extras() -> None:
    code = """
sys.path.insert(0, "testing")
import asyncio
from gemma4_testing.fakes.fake_triton import Script, server_of, whole
from gemma4_client import AsyncClient, Client
async def ask(url):
    async with AsyncClient(url) as client:
        return (await client.chat("hi").result()).text
with server_of("grpc", Script(whole())) as (url, _):
    with Client(url) as client:
        print(client.chat("hi").result().text, asyncio.run(ask(url)))
"""
    assert run(code) == "hello! hello!\n"


def test_what_is_missing_is_said() -> None:
    code = """
from gemma4_client import AsyncClient, Cache, Client
for make in (lambda: Client("http://127.0.0.1:1"), lambda: AsyncClient("http://127.0.0.1:1"),
             lambda: Cache("unused")):
    try:
        make()
    except ImportError as error:
        print(error)
"""
    http, same, cache = run(code).splitlines()
    assert http == same
    assert "'.[http]'" in http and "gRPC" in http
    assert "'.[cache]'" in cache
    assert not (ROOT / "unused").exists()


def test_an_import_loads_nothing_heavy() -> None:
    out = run("import gemma4_client; print(len([m for m in sys.modules if m in BLOCKED]))")
    assert out == "0\n"
