"""A catalog of GPUs that a person wrote: it can be used, or one line has the field, the value and
the way out. Its fields are those of the built-in one, so that a new one is tested as soon as it
exists."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from gemma4_plan.catalog import BUILT_IN, read_catalog
from gemma4_plan.errors import BadCatalogError
from gemma4_runtime.strict_yaml import read_mapping
from gemma4_testing.cases.plan_commands import check_refusal, run


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
