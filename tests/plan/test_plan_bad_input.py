"""Whatever a person types or has in a file: an answer, or one line with the field, the value and
the way out. Options, fields of the catalog and of a trace are those that there are, so that a new
one is in these tables as soon as it exists."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from gemma4_cli.main import app
from gemma4_plan.catalog import BUILT_IN, read_catalog
from gemma4_plan.errors import BadCatalogError
from gemma4_runtime.strict_yaml import read_mapping

GROUP: Any = typer.main.get_group(app)
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


class ComputedError(Exception):
    """A command has taken its options, and would begin to simulate."""


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


def run(command: str, *words: str) -> tuple[int, str]:
    """Exit status and stderr; 0 where it began to simulate."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            code = GROUP.main(["plan", command, *words], prog_name="gemma4", standalone_mode=False)
        except ComputedError:
            return 0, ""
    return code or 0, said.getvalue()


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


def check_refusal(code: int, said: str, option: str) -> None:
    """A refusal is one line, which names an option; an answer says nothing there."""
    if code != 2:
        assert code in (0, 1) and not said, said
        return
    (line,) = said.splitlines()
    assert line.startswith("gemma4: --") or line.startswith("gemma4: give "), line
    assert len(line) < 3000
    if line.startswith("gemma4: --"):
        assert any(way in line for way in (
            "must be", "give", "known are", "Known are", "use", "needs", "leave it out", "raise",
            "only; the catalog has", "write one", "make it first", "name a file", "choose", "measure", "add", "shows", "is over",
        )), line  # fmt: skip


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


# The catalog


def places(data: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place of a kind: of one GPU that has them all, and of the rest."""
    if at:
        yield at
    if isinstance(data, dict):
        for name, inner in data.items():
            if at != ("gpus",) or name == "h200":
                yield from places(inner, (*at, name))


OURS = read_mapping(BUILT_IN)
PLACES = list(places(OURS))
ODD: dict[str, Any] = {
    "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "zero": 0, "negative": -1.5,
    "enormous": 1e300, "tiny": 1e-300, "text": "many", "empty": "", "null": None, "list": [1],
    "mapping": {"a": 1}, "true": True, "terminal": "\x1b[31m\n",
}  # fmt: skip


def changed(place: tuple[str, ...], change: Callable[[dict[str, Any], str], None]) -> Any:
    data = json.loads(json.dumps(OURS, default=str))
    at = data
    for part in place[:-1]:
        at = at[part]
    change(at, place[-1])
    return data


def put(value: Any, at: dict[str, Any], key: str) -> None:
    at[key] = value


def write(folder: Path, data: Any) -> Path:
    file = folder / "gpus.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return file


def refused(file: Path) -> str:
    """What is said of the file; "" where it can be used, by every command."""
    try:
        read_catalog(file)
    except BadCatalogError as error:
        text = str(error)
        assert text.startswith(f"--catalog {file}: ") and "\n" not in text and len(text) < 1500
        assert ";" in text, text
        return text
    for command in ("memory", "fit", "catalog"):
        gpu = (
            ()
            if command == "catalog"
            else ("--gpu", next(iter(yaml.safe_load(file.read_text())["gpus"])))
        )
        code, said = run(command, "--catalog", str(file), *gpu)
        check_refusal(code, said, "--catalog")
    return ""


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_an_odd_value_in_the_catalog(place: tuple[str, ...], tmp_path: Path) -> None:
    for name, value in ODD.items():
        file = write(tmp_path, changed(place, partial(put, value)))
        text = refused(file)
        if text:
            assert place[-1] in text or place[0] in text, text
        else:
            texts = place[-1] in ("product", "source")
            assert (texts and isinstance(value, str) and value) or (
                value is None and len(place) >= 2
            ), (name, place)


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_a_place_of_the_catalog_that_is_not_there(place: tuple[str, ...], tmp_path: Path) -> None:
    file = write(tmp_path, changed(place, lambda at, key: at.pop(key)))
    text = refused(file)
    assert not text or place[-1] in text


@pytest.mark.parametrize(
    "place",
    [("x",), ("gpus", "h200", "x"), ("cpu", "x"), ("gpus", "h200", "tflops", "x")],
    ids=".".join,
)
def test_a_key_that_nobody_knows(place: tuple[str, ...], tmp_path: Path) -> None:
    text = refused(write(tmp_path, changed(place, lambda at, key: at.update({key: 1}))))
    assert ".".join(place) in text and "leave it out, or mend its name" in text


@pytest.mark.parametrize("name", OURS["gpus"])
def test_one_gpu_alone(name: str, tmp_path: Path) -> None:
    data = json.loads(json.dumps(OURS, default=str))
    data["gpus"] = {name: data["gpus"][name]}
    assert refused(write(tmp_path, data)) == ""


FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is empty; "), "blank": ("\n\n# a comment\n", "is empty; "),
    "list": ("- h100\n- h200\n", "is a list; it must be a mapping"),
    "text": ("h100", "is a single value; it must be a mapping"),
    "number as a name": ("schema_version: 1\n5: 6\n", "has the name 5, which is no text"),
    "not YAML": ("a: [", "is not YAML"), "not UTF-8": (b"a: \xff", "is not UTF-8"),
    "twice": ("cpu: 1\ncpu: 2\n", "has a key twice"),
    "no GPUs": ("schema_version: 1\ngpus: {}\ncpu: {product: x}\n", "gpus: "),
    "a GPU named cpu": (
        "schema_version: 1\ngpus: {cpu: {product: x, sm: 90, memory_gb: 80}}\ncpu: {product: x}\n",
        "cpu is the name of the machine without a GPU; choose another",
    ),
    "upper case": (
        "schema_version: 1\ngpus: {H100: {product: x, sm: 90, memory_gb: 80}}\ncpu: {product: x}\n",
        "gpus.H100: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_catalog(name: str, tmp_path: Path) -> None:
    content, says = FILES[name]
    file = tmp_path / "gpus.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadCatalogError) as caught:
        read_catalog(file)
    assert says in str(caught.value) and str(file) in str(caught.value)


def test_a_way_out_is_what_ours_has(tmp_path: Path) -> None:
    place = ("gpus", "h200", "bandwidth_gbs", "value")
    text = refused(write(tmp_path, changed(place, lambda at, key: at.update({key: -4}))))
    assert "gpus.h200.bandwidth_gbs.value: " in text
    assert "and is -4; ours of h200 is 4800" in text
    gone = refused(write(tmp_path, changed(place, lambda at, key: at.pop(key))))
    assert "ours of h200 is 4800" in gone


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
