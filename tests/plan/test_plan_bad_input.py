"""Whatever a person types or has in a file: an answer, or one line with the field, the value and
the way out. Options and fields of a trace are those that there are, so that a new one is in these
tables as soon as it exists. test_plan_bad_catalog.py does the same with catalogs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_testing.cases.plan_commands import GROUP, ComputedError, check_refusal, run

PLAN = GROUP.commands["plan"]
BASE = {
    "memory": ("--gpu", "h200", "--precision", "fp8"),
    "fit": ("--gpu", "h200", "--precision", "fp8", "--itl-ms", "40"),
    "catalog": (),
    "capacity": ("--gpu", "h200", "--precision", "fp8", "--rate", "2", "--itl-ms", "40"),
    "simulate": ("--gpu", "h200", "--rate", "2", "--seconds", "5"),
}
"""Words with which each command answers; an option of a table is added to them."""
TEXTS = ("", " ", "nan", "inf", "-1", "0", "1e999", "uniform:1:1e30", "lognormal:800:1e9",
         "normal:5:1e300", "nobody", "x" * 5000, "\x1b[31m")  # fmt: skip
"""What is given to an option that takes a text."""


@pytest.fixture
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take long ends a command here, with its options taken."""

    def computed(*_: Any, **__: Any) -> Any:
        raise ComputedError

    monkeypatch.setattr("gemma4_plan.fleet.answer.search", computed)
    monkeypatch.setattr("gemma4_plan.simulate.simulate", computed)


def params() -> Iterator[tuple[str, Any]]:
    for name, command in PLAN.commands.items():
        for param in command.params:
            if param.name != "help" and not param.is_flag:
                yield name, param


def kind(param: Any) -> str:
    return str(param.type_descriptor.annotation)


NUMBERS = [
    (name, param) for name, param in params() if "int" in kind(param) or "float" in kind(param)
]
WORDS = [(name, param) for name, param in params() if (name, param) not in NUMBERS]


def ids(table: list[tuple[str, Any]]) -> list[str]:
    return [f"{name} {param.opts[0]}" for name, param in table]


def base(command: str, option: str) -> list[str]:
    """The words of the command without that option."""
    words = list(BASE[command])
    for other in (
        option,
        *{"--users": ["--rate"], "--trace": ["--rate"], "--steps": ["--gpu"]}.get(option, []),
    ):
        if other in words:
            del words[words.index(other) : words.index(other) + 2]
    return words


def test_the_tables_have_every_command() -> None:
    assert set(BASE) == set(PLAN.commands)
    assert len(NUMBERS) > 50 and len(WORDS) > 20
    for name, words in BASE.items():
        if name not in ("capacity", "simulate"):
            assert run(name, *words)[0] == 0


@pytest.mark.parametrize(("command", "param"), NUMBERS, ids=ids(NUMBERS))
def test_every_number_has_both_bounds(command: str, param: Any) -> None:
    assert param.min is not None and param.max is not None and 0 <= param.min < param.max < math.inf


@pytest.mark.usefixtures("no_simulation")
@pytest.mark.parametrize(("command", "param"), NUMBERS, ids=ids(NUMBERS))
def test_a_number_out_of_its_bounds(command: str, param: Any) -> None:
    option = max(param.opts, key=len)
    values = ["nan", "-inf", "-1", "1e999", str(param.max * 10)]
    if param.min > 0:
        values += ["0", "-0.0" if "float" in kind(param) else "-0"]
    for value in values:
        code, said = run(command, *base(command, option), f"{option}={value}")
        assert code == 2, (value, said)
        (line,) = said.splitlines()
        assert line.startswith(f"gemma4: {option} ") and str(param.max) in line, line


@pytest.mark.usefixtures("no_simulation")
@pytest.mark.parametrize(("command", "param"), NUMBERS, ids=ids(NUMBERS))
def test_a_number_at_its_bounds(command: str, param: Any) -> None:
    option = max(param.opts, key=len)
    for value in (param.min, param.max):
        code, said = run(command, *base(command, option), f"{option}={value}")
        check_refusal(code, said, option)


@pytest.mark.usefixtures("no_simulation")
@pytest.mark.parametrize(("command", "param"), WORDS, ids=ids(WORDS))
def test_a_text_that_cannot_be(command: str, param: Any) -> None:
    option = max(param.opts, key=len)
    for value in TEXTS:
        code, said = run(command, *base(command, option), f"{option}={value}")
        check_refusal(code, said, option)


@pytest.mark.parametrize(("command", "param"), [
    (name, param) for name, param in NUMBERS if name == "simulate"
], ids=lambda item: item if isinstance(item, str) else item.opts[0])  # fmt: skip
def test_a_simulation_with_the_least(command: str, param: Any) -> None:
    """Really run, with a rate that is 0.001 to 2 requests/s for five seconds."""
    option = max(param.opts, key=len)
    code, said = run(command, *base(command, option), f"{option}={param.min}", "--json")
    check_refusal(code, said, option)


# A trace

LINE = {"timestamp": 0, "input_length": 100, "output_length": 10, "hash_ids": [1]}
NUMBER: tuple[Any, ...] = (
    math.nan,
    math.inf,
    -math.inf,
    -1,
    0,
    1e300,
    10**400,
    "9",
    None,
    True,
    [],
    {},
)


def traced(folder: Path, text: str) -> tuple[int, str]:
    file = folder / "trace.jsonl"
    file.write_text(text, encoding="utf-8")
    return run("simulate", "--gpu", "h200", "--trace", str(file))


@pytest.mark.parametrize("field", [*LINE, "unknown"])
def test_an_odd_field_of_a_trace(field: str, tmp_path: Path) -> None:
    for value in NUMBER:
        second = LINE | {field: value}
        code, said = traced(tmp_path, json.dumps(LINE) + "\n" + json.dumps(second) + "\n")
        right = (field == "timestamp" and value == 0 and value is not False) or (
            field == "hash_ids" and value == []
        )
        if right:
            assert code == 0, said
            continue
        assert code == 2, (field, value)
        (line,) = said.splitlines()
        assert "line 2" in line and field in line, line


@pytest.mark.parametrize("field", ["timestamp", "input_length", "output_length"])
def test_a_field_that_a_trace_lacks(field: str, tmp_path: Path) -> None:
    line = {name: value for name, value in LINE.items() if name != field}
    code, said = traced(tmp_path, json.dumps(line))
    assert code == 2 and f"line 1: {field} is None; it must be a number" in said


@pytest.mark.parametrize(
    "text", ["", "\n\n", "[]", "5", "null", "{", '{"timestamp": 1}', "\x00", "{}"]
)
def test_a_file_that_is_no_trace(text: str, tmp_path: Path) -> None:
    code, said = traced(tmp_path, text)
    assert code == 2 and said.count("\n") == 1 and "--trace " in said


def test_a_request_that_the_model_has_no_room_for(tmp_path: Path) -> None:
    code, said = traced(
        tmp_path, json.dumps(LINE) + "\n" + json.dumps(LINE | {"input_length": 262_140})
    )
    assert code == 2
    assert "request 2 has input_length 262140 and output_length 10" in said and "262144" in said


def test_a_trace_that_lasts_for_years(tmp_path: Path) -> None:
    later = LINE | {"timestamp": 1e13}
    code, said = traced(tmp_path, json.dumps(LINE) + "\n" + json.dumps(later))
    assert code == 2 and "days from the first timestamp to the last" in said
    assert "--trace-speed 316" in said


# SLOs that nothing holds


def proposed(said: str) -> list[str]:
    """The options after "give" or "with" in an error."""
    words = said.rsplit("; give" if "; give" in said else "with ", 1)[-1].replace(",", " ").split()
    found: list[str] = []
    for at, word in enumerate(words):
        if word.startswith("--") and word.endswith("-ms"):
            found += [word, words[at + 1]]
    return found


@pytest.mark.parametrize(
    "slos",
    [("--itl-ms", "0.5"), ("--ttft-ms", "1"), ("--itl-ms", "0.5", "--ttft-ms", "1"),
     ("--itl-ms", "5", "--ttft-ms", "500"), ("--itl-ms", "0.001", "--cautious")],
)  # fmt: skip
def test_what_is_proposed_for_an_impossible_slo_works(slos: tuple[str, ...]) -> None:
    cards = ("--gpu", "h200")
    code, said = run("fit", *cards, *slos)
    if code == 0:
        assert slos == ("--itl-ms", "5", "--ttft-ms", "500")
        return
    better = proposed(said)
    assert better, said
    kept: list[str] = []
    for name in ("--itl-ms", "--ttft-ms"):
        if name in better:
            kept += [name, better[better.index(name) + 1]]
        elif name in slos:
            kept += [name, slos[slos.index(name) + 1]]
    flags = [word for word in slos if word == "--cautious"]
    assert run("fit", *cards, *kept, *flags)[0] == 0, said


@pytest.mark.parametrize("slo", ["--ttft-ms", "--itl-ms", "--e2e-ms"])
def test_an_slo_that_one_request_alone_breaks(slo: str) -> None:
    code, said = run("simulate", *BASE["simulate"], slo, "0.5")
    assert code == 2 and f"{slo} 0.5: one request alone takes " in said and "give more" in said
