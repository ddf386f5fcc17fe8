"""Ask NVIDIA's aiconfigurator by its own command line, in a process of its own.

Its ``cli default`` writes what it calls the best configurations into a file
``*/agg/best_config_topn.csv`` under ``--save-dir``, a line each (read in version 0.12.0).
"""

from __future__ import annotations

import csv
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from gemma4_runtime.needs import install_extra
from gemma4_runtime.one_line import one_line

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.second.opinion import Asked, Figures, Opinion

__all__ = ["PROGRAM", "ask", "find_program"]

PROGRAM = "aiconfigurator"
_EXTRA = "aiconfigurator"
_NO_LIMIT_MS = 1e6
"""Milliseconds that stand for no SLO: without one it takes its own."""
_SYSTEMS = {
    "a100": "a100_sxm", "l40s": "l40s", "h100": "h100_sxm", "h200": "h200_sxm",
    "b200": "b200_sxm", "gb200": "gb200", "b300": "b300_sxm",
    "rtx-pro-6000": "rtx_pro_6000_server",
}  # fmt: skip
"""What it calls the GPUs of our catalog of which it has measurements of TensorRT-LLM."""
_MODELS = {"bf16": "google/gemma-4-26B-A4B", "nvfp4": "nvidia/Gemma-4-26B-A4B-NVFP4"}
"""The checkpoints whose shapes it brings along, so that it needs no network."""
_VERSION = re.compile(r"AIConfigurator version: (\S+)")
_COMPLAINT = re.compile(r"^(?:\S+ \[\w+\] \[[EW]\] \[[^]]*\] |\w*(?:Error|Exit): )(.*)$", re.M)
_REASON = re.compile(r"Experiment|not supported|error|Error|unknown|Unknown")


def find_program(name: str) -> Path:
    """Return the program: ``aiconfigurator`` beside this Python or on the PATH, or its own path.
    Raises :class:`BadQuestionError`."""
    if os.sep in name:
        found = shutil.which(name)
        if found is None:
            raise BadQuestionError(
                f"--second-opinion {name}: is no program that can be run; give {PROGRAM}, or the "
                "path of its program"
            )
        return Path(found)
    if name != PROGRAM:
        raise BadQuestionError(
            f"--second-opinion {name}: is not known; give {PROGRAM}, or the path of its program"
        )
    beside = Path(sys.executable).with_name(PROGRAM)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(PROGRAM)
    if found is None:
        raise BadQuestionError(
            f"--second-opinion {PROGRAM}: is not installed; {install_extra(_EXTRA)}, or in an "
            "environment of its own, and give the path of its program"
        )
    return Path(found)


def ask(program: Path, asked: Asked, *, seconds: float) -> Opinion:
    """Return its opinion within ``seconds``, or why there is none. Raises nothing: the plan stands
    without it."""
    if missing := _unknown(asked):
        return Opinion(program=PROGRAM, version="", asked=asked, missing=missing)
    with tempfile.TemporaryDirectory(prefix="gemma4-plan-") as folder:
        try:
            said, status = _run(_command(program, asked, Path(folder)), folder, seconds)
        except OSError as error:
            missing = f"{program}: {error.strerror}"
            return Opinion(program=PROGRAM, version="", asked=asked, missing=missing)
        found = _VERSION.search(said)
        version = found.group(1) if found else ""
        if status is None:
            missing = f"it had no answer within {seconds:g} s; --second-opinion-seconds gives more"
            return Opinion(program=PROGRAM, version=version, asked=asked, missing=missing)
        try:
            figures = _read(Path(folder))
        except (ValueError, KeyError, OSError, csv.Error) as error:
            missing = f"its answer is in another form than that of 0.12: {error}"
            return Opinion(program=PROGRAM, version=version, asked=asked, missing=one_line(missing))
    if figures is None:
        missing = _complaint(said, status)
        return Opinion(program=PROGRAM, version=version, asked=asked, missing=missing)
    return Opinion(program=PROGRAM, version=version, asked=asked, figures=figures)


def _unknown(asked: Asked) -> str:
    if asked.gpu not in _SYSTEMS:
        return f"it has no measurements of {asked.gpu}; it has them of {', '.join(_SYSTEMS)}"
    if asked.precision not in _MODELS:
        return f"it knows this model in {' and '.join(_MODELS)} only, not in {asked.precision}"
    return ""


def _command(program: Path, asked: Asked, folder: Path) -> list[str]:
    limits = {"--ttft": asked.ttft_ms, "--tpot": asked.itl_ms}
    return [
        str(program), "cli", "default", "--no-color", "--top-n", "1", "--serving-mode", "agg",
        "--backend", "trtllm", "--database-mode", "HYBRID", "--strict-sla",
        "--model-path", _MODELS[asked.precision], "--system", _SYSTEMS[asked.gpu],
        "--total-gpus", str(asked.tensor_parallel), "--isl", str(asked.prompt),
        "--osl", str(asked.output), "--save-dir", str(folder),
        *(word for option, limit in limits.items()
          for word in (option, f"{_NO_LIMIT_MS if limit is None else limit:g}")),
    ]  # fmt: skip


def _run(command: list[str], folder: str, seconds: float) -> tuple[str, int | None]:
    """Return what the process said, and its exit status: None where it took too long, and was
    ended with all of its own."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env |= {"MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=env, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            _end(process)
            return _text(late.output), None
        except BaseException:
            _end(process)
            raise
    return said, process.returncode


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _read(folder: Path) -> Figures | None:
    """Return the first line of the file; None where there is no file or no line. Raises
    :class:`ValueError` and :class:`KeyError` for what is no number or not there."""
    files = sorted(folder.rglob("agg/best_config_topn.csv"))
    if not files:
        return None
    with files[0].open(encoding="utf-8", newline="") as lines:
        row = next(csv.DictReader(lines), None)
    if row is None:
        return None
    return Figures(
        streams=round(_number(row, "concurrency")),
        itl_ms=_number(row, "tpot"),
        ttft_ms=_number(row, "ttft"),
        tokens_per_s=_number(row, "tokens/s"),
        tokens_per_s_per_gpu=_number(row, "tokens/s/gpu"),
        tensor_parallel=round(_number(row, "tp")),
        engine=f"{row['backend']} {row['version']}",
    )


def _number(row: dict[str, str], name: str) -> float:
    value = float(row[name])
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {row[name]}")
    return value


def _complaint(said: str, status: int) -> str:
    """Return its own last reason, in one line."""
    lines = [text for text in _COMPLAINT.findall(said) if _REASON.search(text)]
    reason = lines[-1] if lines else "it found nothing, and said no reason"
    return one_line(reason if not status else f"{reason} (exit status {status})")
