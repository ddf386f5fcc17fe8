"""The doctor's findings, with a driver that says what a test wants."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_cli.main import app
from gemma4_runtime.manifest import MANIFEST_NAME
from gemma4_runtime.trtllm.gpus import GPUS, find_gpu
from gemma4_runtime.trtllm.nvml import Driver, read_driver
from gemma4_runtime.trtllm.recommended import recommend
from gemma4_serve.doctor import examine as examine_module
from gemma4_serve.doctor import machine
from gemma4_serve.doctor.engine import check_engine
from gemma4_serve.doctor.gpus import check_gpus
from gemma4_serve.doctor.table import compatibility
from typer.testing import CliRunner

GIB = 2**30


class FakeNvml:
    """The calls of NVML that we make; anything else is an AttributeError."""

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818
        pass

    def __init__(self, devices: tuple[Any, ...] = (), cuda: int = 13010, broken: str = "") -> None:
        self.devices, self.cuda, self.broken, self.open = devices, cuda, broken, False

    def nvmlInit(self) -> None:  # noqa: N802
        if self.broken:
            raise self.NVMLError(self.broken)
        self.open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        assert self.open
        self.open = False

    def nvmlSystemGetCudaDriverVersion(self) -> Any:  # noqa: N802
        return self.cuda

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        return b"590.44"

    def nvmlDeviceGetCount(self) -> Any:  # noqa: N802
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: Any) -> Any:  # noqa: N802
        return self.devices[index]

    def nvmlDeviceGetMemoryInfo(self, device: Any) -> Any:  # noqa: N802
        if device[2] is None:
            raise self.NVMLError_NotSupported
        return SimpleNamespace(total=device[2], free=device[2] - GIB)

    def nvmlDeviceGetCudaComputeCapability(self, device: Any) -> Any:  # noqa: N802
        return device[1]

    def nvmlDeviceGetUUID(self, device: Any) -> str:  # noqa: N802
        return f"GPU-{self.devices.index(device)}"

    def nvmlDeviceGetName(self, device: Any) -> Any:  # noqa: N802
        return device[0]


H100 = ("NVIDIA H100 80GB HBM3", (9, 0), 85_520_809_984)
L4 = ("NVIDIA L4", (8, 9), 24 * 10**9)
GB10 = ("NVIDIA GB10", (12, 1), None)
"""It shares the host's memory, so NVML knows of none of its own."""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def use(*devices: Any, **options: Any) -> Any:
        fake = FakeNvml(devices, **options)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        found = read_driver()
        assert not fake.open
        return found

    return use


@pytest.fixture(scope="module")
def engine(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor") / "engine"
    build_engine(
        BuildRequest(checkpoint=checkpoint, out=folder, runtime="synthetic"), SilentReporter()
    )
    return folder


def levels(results: Any) -> Any:
    return {r.name: r.level for r in results}


def test_devices(driver: Callable[..., Any]) -> None:
    found = driver(H100, H100)
    assert isinstance(found, Driver) and found.version == "590.44" and found.cuda == (13, 1)
    assert [d.gpu.name for d in found.devices] == ["h100", "h100"]
    results = check_gpus(found)
    assert levels(results) == {"driver": "ok", "CUDA": "ok", "GPU 0": "ok", "GPU 1": "ok"}
    assert "78.6 of 79.6 GiB free" in results[-1].detail


@pytest.mark.parametrize(
    ("shown", "indices"),
    [(None, [0, 1]), ("1", [1]), (" 1,0 ", [1, 0]), ("GPU-1", [1]), ("", []), ("0,7,1", [0])],
)
def test_visible_devices(driver: Callable[..., Any], shown: str | None, indices: list[int]) -> None:
    env = {} if shown is None else {"CUDA_VISIBLE_DEVICES": shown}
    assert [d.index for d in driver(H100, L4).visible(env)] == indices


def test_a_gpu_without_memory_of_its_own(driver: Callable[..., Any]) -> None:
    (found,) = driver(GB10).devices
    assert found.gpu.name == "dgx-spark"
    assert found.memory_total == psutil.virtual_memory().total > found.memory_free > 0


def test_old_cuda_fails(driver: Callable[..., Any]) -> None:
    result = check_gpus(driver(H100, cuda=12080))[1]
    assert result.level == "fail" and "12.8" in result.detail and "update" in result.way_out


def test_no_driver_is_no_failure(driver: Callable[..., Any]) -> None:
    assert driver(broken="Driver Not Loaded") == "Driver Not Loaded"
    (result,) = check_gpus("Driver Not Loaded")
    assert result.level == "info" and "Driver Not Loaded" in result.detail


def as_tensorrt_llm(
    folder: Path, tmp_path: Any, widths: tuple[int, int] = (704, 2112), **changes: Any
) -> Any:
    """A copy of an engine folder whose manifest says it is TensorRT-LLM's."""
    copy = tmp_path / "trt"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((copy / MANIFEST_NAME).read_text())
    manifest |= {
        "runtime": "tensorrt_llm", "runtime_version": "1.3.0rc29", "precision": "fp8",
        "synthetic": None, "tensorrt_llm": {"preset": "latency"},
    } | changes  # fmt: skip
    (copy / MANIFEST_NAME).write_text(json.dumps(manifest))
    (copy / "checkpoint").mkdir()
    text = {"moe_intermediate_size": widths[0], "intermediate_size": widths[1]}
    (copy / "checkpoint" / "config.json").write_text(json.dumps({"text_config": text}))
    return copy


@pytest.mark.parametrize(
    ("devices", "changes", "name", "level", "says"),
    [
        ((H100,), {}, "fits the GPU", "warn", "experimental"),
        ((H100,), {"precision": "nvfp4"}, "fits the GPU", "fail", "GELU"),
        ((H100,), {"runtime_version": "1.3.0rc20"}, "fits the GPU", "fail", "#18002"),
        ((L4,), {}, "fits the GPU", "fail", "#14942"),
        ((H100,), {"tensor_parallel": 2}, "GPUs", "fail", "wants 2, 1 are in reach"),
        ((), {}, "GPUs", "fail", "none is in reach"),
    ],
)
def test_engine_and_gpus(
    engine: Path,
    tmp_path: Path,
    driver: Callable[..., Any],
    devices: tuple[tuple[str, tuple[int, int], int], ...],
    changes: dict[str, Any],
    name: str,
    level: str,
    says: str,
) -> None:
    folder = as_tensorrt_llm(engine, tmp_path, **changes)
    _, results = check_engine(folder, driver(*devices))
    (found,) = [r for r in results if r.name == name]
    assert found.level == level and says in found.detail


@pytest.mark.parametrize(
    ("changes", "widths"),
    [
        ({"precision": "int4"}, (768, 2176)),
        ({"precision": "fp8", "tensor_parallel": 4}, (768, 2112)),
    ],
)
def test_padded_engines_are_judged_by_their_widths(
    engine: Path,
    tmp_path: Path,
    driver: Callable[..., Any],
    changes: dict[str, Any],
    widths: tuple[int, int],
) -> None:
    folder = as_tensorrt_llm(engine, tmp_path, widths, **changes)
    _, results = check_engine(folder, driver(H100, H100, H100, H100))
    assert levels(results)["fits the GPU"] == "warn"
    if changes["precision"] == "fp8":
        other = tmp_path / "unpadded"
        other.mkdir()
        _, results = check_engine(as_tensorrt_llm(engine, other, **changes), driver(H100))
        assert levels(results)["fits the GPU"] == "fail"


def test_a_changed_file_fails(engine: Path, tmp_path: Path, driver: Callable[..., Any]) -> None:
    folder = as_tensorrt_llm(engine, tmp_path)
    (folder / "tokenizer.json").write_text("{}")
    manifest, (result,) = check_engine(folder, driver(H100))
    assert manifest is None and result.level == "fail" and "tokenizer.json" in result.detail


def test_compatibility_merges_equal_answers() -> None:
    results = compatibility(find_gpu("h100"), 4)
    assert [r.level for r in results if r.name.startswith("nvfp4")] == ["info"]
    assert compatibility(find_gpu("h100"), 1)[0].name == "bf16, tp 1"


def test_software(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"tensorrt-llm": "1.3.0rc29", "transformers": "5.14.1"}
    monkeypatch.setattr(machine, "_version", lambda name: versions.get(name, ""))
    assert levels(machine.check_software())["transformers"] == "ok"
    versions["transformers"] = "5.15.0"
    bad = next(r for r in machine.check_software() if r.name == "transformers")
    assert bad.level == "fail" and ">=5.10,<5.15" in bad.way_out
    versions["tensorrt-llm"] = "1.3.0rc26"
    assert levels(machine.check_software())["TensorRT-LLM"] == "warn"


def test_command(engine: Path, tmp_path: Path) -> None:
    def call(*args: Any) -> Any:
        ports = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")
        return CliRunner().invoke(app, ["doctor", *ports, *map(str, args)])

    report = tmp_path / "r.json"
    done = call("--engine", engine, "--gpu-name", "b200", "--gpus", "2", "--report", report)
    assert done.exit_code == 0, done.output
    saved = json.loads(report.read_text())
    assert saved["failed"] == 0 and "2 x B200" in saved["sections"]
    assert list(saved["sections"])[-1] == "Recommended"
    (last,) = saved["sections"]["Recommended"]
    assert last["command"].endswith("--gpu b200 --precision nvfp4")
    assert done.stdout.splitlines()[-1].strip() == recommend(find_gpu("b200")).command
    records = {r["name"]: r["figures"] for r in saved["sections"]["Engine"]}
    assert records["manifest"]["manifest"]["runtime"] == "synthetic"
    assert "files" not in records["manifest"]["manifest"]
    assert json.loads(call("--json").output)["sections"].keys() >= {"Machine", "Software", "Ports"}
    assert call("--engine", tmp_path / "nothing").exit_code == 1
    assert call("--gpu").exit_code == 2
    unknown = call("--gpu-name", "h999")
    assert unknown.exit_code == 2 and "run `gemma4 doctor` on" in " ".join(unknown.output.split())
    assert call("--report", tmp_path / "no" / "folder").exit_code == 2


def test_every_card_ends_with_a_command_that_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a narrow terminal too, where the table is folded."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(examine_module, "check_software", list)
    for name, gpu in GPUS.items():
        shown = CliRunner().invoke(app, ["doctor", "--gpu-name", name]).stdout
        assert shown.splitlines()[-1].strip() == recommend(gpu).command, name
        assert shown.splitlines()[-2] == ""
