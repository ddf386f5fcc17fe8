"""The types in ``typings/`` are those of the module that Triton gives to a Python model."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from gemma4_serve.install import find_triton
from gemma4_serve.ports import Ports, claim_ports
from gemma4_testing.servers.command import Command

STUB = Path(__file__).parents[2] / "typings" / "triton_python_backend_utils.pyi"

PROBE = """
import inspect, json, pathlib
import c_python_backend_utils, triton_python_backend_utils as pb_utils

def members(value):
    if not isinstance(value, type):
        return None
    return {name: getattr(value, name).__doc__ or "" for name in dir(value)}

def names(module):
    return {name: members(getattr(module, name)) for name in dir(module)}

class TritonPythonModel:
    def initialize(self, args):
        found = {"module": names(pb_utils), "hidden": names(c_python_backend_utils)}
        pathlib.Path(__file__).with_name("found.json").write_text(json.dumps(found))
    def execute(self, requests):
        return []
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a model process of a real server has, by name: None, or a class's members and their
    docstrings, which begin with the signature."""
    folder = tmp_path_factory.mktemp("probe")
    version = folder / "models" / "probe" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(PROBE)
    (version.parent / "config.pbtxt").write_text(
        'backend: "python"\n'
        'input [{ name: "i" data_type: TYPE_INT32 dims: [ 1 ] }]\n'
        'output [{ name: "o" data_type: TYPE_INT32 dims: [ 1 ] }]\n'
    )
    install = find_triton(folder)
    ports = claim_ports("127.0.0.1", Ports(0, 0, 0))
    server = Command(
        f"--model-repository={folder / 'models'}", f"--backend-directory={install.backends}",
        "--disable-auto-complete-config", "--http-address=127.0.0.1", "--grpc-address=127.0.0.1",
        "--metrics-address=127.0.0.1", f"--http-port={ports.http}", f"--grpc-port={ports.grpc}",
        f"--metrics-port={ports.metrics}",
        env=install.env, program=install.binary, until="Started Metrics Service",
    )  # fmt: skip
    server.stop()
    return json.loads((version / "found.json").read_text())


def classes(tree: ast.Module) -> list[tuple[ast.ClassDef, bool]]:
    """Each class, and whether the module itself has it."""
    return [
        (node, not any(getattr(d, "id", "") == "type_check_only" for d in node.decorator_list))
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]


def named(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return names


def test_every_name_is_there(found: Any) -> None:
    tree = ast.parse(STUB.read_text())
    assert set(named(tree.body)) <= set(found["module"])
    for node, public in classes(tree):
        assert (node.name in found["module"]) is public, node.name
        members = found["module" if public else "hidden"][node.name]
        assert set(named(node.body)) <= set(members), node.name


def test_every_keyword_is_one(found: Any) -> None:
    """Arguments that the types let a caller name, against the signatures that pybind writes."""
    compared = 0
    for node, public in classes(ast.parse(STUB.read_text())):
        for name, method in named(node.body).items():
            signature = found["module" if public else "hidden"][node.name][name].partition("\n")[0]
            taken = re.findall(r"(\w+): ", signature)
            if not taken or not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            arguments = {arg.arg for arg in [*method.args.args, *method.args.kwonlyargs]}
            assert arguments - {"self"} <= set(taken), f"{node.name}.{name}: {signature}"
            compared += 1
    assert compared > 30


def test_what_the_models_use_is_in_the_types() -> None:
    """They name nothing that only a later Triton has."""
    tree = ast.parse(STUB.read_text())
    known = set(named(tree.body)) | {node.name for node, _ in classes(tree)}
    for model in sorted(STUB.parents[1].glob("*_repository/*/1/model.py")):
        used = set(re.findall(r"pb_utils\.(\w+)", model.read_text()))
        assert used and used <= known, model
