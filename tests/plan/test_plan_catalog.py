"""The catalog: complete, sourced, and the same as the compatibility table; and what users edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_plan.catalog import BUILT_IN, read_catalog
from gemma4_plan.errors import BadCatalogError, BadQuestionError
from gemma4_runtime.trtllm.gpus import GPUS

CATALOG = read_catalog()
ASKED_FOR = ("a100", "l40s", "h100", "h200", "b200", "b300", "dgx-spark", "rtx-pro-6000")


def test_the_same_gpus_as_in_the_compatibility_table() -> None:
    assert {name: card.as_gpu(name) for name, card in CATALOG.gpus.items()} == GPUS


@pytest.mark.parametrize("name", ASKED_FOR)
def test_what_decides_the_speed_is_there(name: str) -> None:
    card = CATALOG.gpus[name]
    assert card.bandwidth_gbs and card.tflops and card.tflops.bf16 and card.link_gbs


@pytest.mark.parametrize("name", CATALOG.gpus)
def test_figures_are_plausible(name: str) -> None:
    card = CATALOG.gpus[name]
    assert 0.93 < card.memory_bytes / (card.memory_gb * 1e9) < 1.08
    flops = card.tflops
    if flops and flops.bf16:
        assert flops.fp8 is None or flops.fp8 >= flops.bf16
        assert (flops.nvfp4 is not None) == (card.sm >= 100)
    if card.usd_per_hour:
        assert card.usd_per_hour.date >= "2026"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = BUILT_IN.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    file = tmp_path / "gpus.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def test_a_gpu_of_ones_own(tmp_path: Path) -> None:
    new = "gpus:\n  h20:\n    product: H20\n    sm: 90\n    memory_gb: 96\n"
    catalog = read_catalog(changed(tmp_path, "gpus:\n", new))
    assert catalog.find(" H20 ")[1].memory_bytes == 96 * 10**9
    assert len(catalog.gpus) == len(CATALOG.gpus) + 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("memory_gb: 80", "memory_gb: -80", r"gpus.a100.memory_gb: .*greater than 0.*is -80"),
        ("memory_gb: 80", "memory_gb: '80'", r"gpus.a100.memory_gb: .*integer.*is '80'"),
        ("    sm: 80\n", "", r"gpus.a100.sm: Field required"),
        ("{bf16: 312, date: 2026-02-12, ", "{bf16: 312, ", r"tflops.date: Field required"),
        ("bf16: 312", "bf16: .inf", r"tflops.bf16: .*finite"),
        ("bf16: 312", "int9: 312", r"tflops.int9: .*not permitted; leave it out, or mend"),
        ("low: 0.80", "low: 4.00", r"usd_per_hour: .*low 4.0 is above high 3.0"),
        ("schema_version: 1", "schema_version: 2", r"schema_version: .*is 2"),
        ("  h200:", "  h100:", r"has a key twice"),
        ("gpus:", "cards:", r"gpus: Field required"),
        ("cpu:", "cpu: [", r"is not YAML"),
    ],
)
def test_a_damaged_catalog(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = changed(tmp_path, old, new)
    with pytest.raises(BadCatalogError, match=words) as found:
        read_catalog(file)
    assert str(found.value).startswith(f"--catalog {file}: ")


def test_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(BadCatalogError, match=r"No such file.*plan catalog --yaml"):
        read_catalog(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("h2000", "h200"), ("RTX PRO 6000", "rtx-pro-6000"), ("dgx_spark", "dgx-spark"),
     ("B-200", "b200"), ("a10", "a100")],
)  # fmt: skip
def test_the_nearest_name(asked: str, nearest: str) -> None:
    with pytest.raises(BadQuestionError, match=rf"--gpu {asked}: .*did you mean {nearest}\?"):
        CATALOG.find(asked)


def test_a_name_like_no_other() -> None:
    with pytest.raises(BadQuestionError, match="not in the catalog; Known are a100") as found:
        CATALOG.find("toaster")
    assert "did you mean" not in str(found.value)
