"""What ``--json`` prints: of the documented form whatever comes out, and in finite numbers.
docs/reference/plan_schema.json is made from the types; `UPDATE_DOCS=1 pytest` on this file writes
it anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
import typer
from gemma4_cli.main import app
from gemma4_plan.document.envelope import RESULTS, Command, schema, text_of
from gemma4_testing.cases.aiconfigurator import program
from gemma4_testing.repository import ROOT
from typer.testing import CliRunner

PAGE = ROOT / "docs" / "reference" / "plan_schema.json"
COMMANDS: tuple[Command, ...] = get_args(Command)
QUICK = ("--gpu", "h200", "--rate", "1", "--seconds", "20")
FLEET = ("--gpu", "h200", "--precision", "bf16", "--output-tokens", "50")
STEPS = {"measured": "made up", "decode": [[1, 0.01], [8, 0.02]], "prefill": [[1, 0.01]], "slots": 8,
         "step_tokens": 512}  # fmt: skip
CASES: dict[str, tuple[tuple[str, ...], int]] = {
    # name: (words, exit status)
    "memory: all": (("memory",), 0),
    "memory: nothing fits": (("memory", "--gpu", "l4", "--precision", "bf16"), 1),
    "memory: a split that some cannot do": (("memory", "--gpu", "b200", "--tp", "4"), 0),
    "memory: CPU": (("memory", "--gpu", "cpu", "--memory-gb", "24"), 0),
    "memory: CPU of unknown size": (("memory", "--gpu", "cpu"), 0),
    "memory: CPU too small": (("memory", "--gpu", "cpu", "--precision", "f32", "--memory-gb", "1"), 1),
    "memory: refused": (("memory", "--gpu", "h2000"), 2),
    "fit: all": (("fit",), 0),
    "fit: with a rate": (("fit", "--gpu", "h200", "--itl-ms", "30", "--rate", "3"), 0),
    "fit: no price": (("fit", "--gpu", "dgx-spark"), 0),
    "fit: a second opinion": (("fit", "--gpu", "h200", "--second-opinion", "PROGRAM"), 0),
    "fit: none of that GPU": (("fit", "--gpu", "dgx-spark", "--second-opinion", "PROGRAM"), 0),
    "fit: refused": (("fit", "--itl-ms", "0.01"), 2),
    "catalog": (("catalog",), 0),
    "catalog: refused": (("catalog", "--catalog", "none.yaml"), 2),
    "capacity": (("capacity", *FLEET, "--rate", "3", "--ttft-ms", "900"), 0),
    "capacity: refused": (("capacity", *FLEET, "--rate", "3", "--ttft-ms", "0.1"), 2),
    "capacity: too few": (("capacity", *FLEET, "--rate", "30", "--ttft-ms", "900", "--max-gpus", "1"), 2),
    "simulate": (("simulate", *QUICK), 0),
    "simulate: too slow": (("simulate", "--gpu", "h200", "--rate", "60", "--seconds", "60", "--ttft-ms",
                            "100", "--itl-ms", "12", "--slots", "64"), 1),
    "simulate: the slow end": (("simulate", *QUICK, "--cautious"), 0),
    "simulate: measured steps": (("simulate", "--steps", "STEPS", "--users", "2", "--seconds", "9"), 0),
    "simulate: nothing comes": (("simulate", "--gpu", "h200", "--rate", "0.001", "--seconds", "1"), 0),
    "simulate: nothing is taken": (
        ("simulate", "--gpu", "h200", "--rate", "50", "--seconds", "2", "--slots", "1", "--max-queued",
         "0", "--ttft-ms", "9000"), 1,
    ),
    "simulate: refused": (("simulate", "--gpu", "h200"), 2),
    "simulate: refused early": (("simulate", *QUICK, "--min-replicas", "2"), 2),
}  # fmt: skip


def run(folder: Path, words: tuple[str, ...]) -> tuple[int, str, str]:
    steps = folder / "steps.json"
    steps.write_text(json.dumps(STEPS))
    known = {"PROGRAM": lambda: str(program(folder)), "STEPS": lambda: str(steps)}
    given = [known[word]() if word in known else word for word in words]
    ran = CliRunner().invoke(app, ["plan", *given, "--json"])
    return ran.exit_code, ran.stdout, ran.stderr


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.validator_for(schema())


@pytest.mark.parametrize("name", CASES)
def test_every_document_is_of_the_form(name: str, tmp_path: Path, validator: Any) -> None:
    words, status = CASES[name]
    code, text, said = run(tmp_path, words)
    assert code == status, said
    assert text.count("\n") == 1

    def not_finite(constant: str) -> Any:
        raise AssertionError(constant)

    document = json.loads(text, parse_constant=not_finite)
    validator.validate(document)
    assert set(document) == {"schema_version", "command", "error", "result"}
    assert document["command"] == words[0]
    assert (document["error"] is None) == (status != 2) == (document["result"] is not None)
    if status == 2:
        assert said == f"gemma4: {document['error']}\n"


def test_every_command_is_there() -> None:
    group: Any = typer.main.get_group(app)
    assert set(group.commands["plan"].commands) == set(COMMANDS) == set(RESULTS)
    assert {words[0] for words, _ in CASES.values()} == set(COMMANDS)


def test_no_key_may_be_missing_or_new(validator: Any, tmp_path: Path) -> None:
    _, text, _ = run(tmp_path, CASES["memory: CPU"][0])
    document = json.loads(text)
    for change in ("less", "more", "text"):
        broken = json.loads(text)
        answer = broken["result"]["answers"][0]
        if change == "less":
            del answer["weight_bytes"]
        elif change == "more":
            answer["another"] = 1
        else:
            answer["memory_bytes"] = "24 GB"
        assert validator.is_valid(document) and not validator.is_valid(broken), change


def test_what_is_not_finite_is_null() -> None:
    nan, inf = float("nan"), float("inf")
    found = json.loads(text_of("fit", {"a": nan, "b": [inf, 1.5, (-inf, "x")], "c": {"d": nan}}))
    assert found["result"] == {"a": None, "b": [None, 1.5, [None, "x"]], "c": {"d": None}}


def test_the_page_is_up_to_date() -> None:
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text
