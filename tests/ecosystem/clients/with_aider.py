"""Aider without a terminal: one message, one answer."""

import os
import re
import subprocess
import sys
from pathlib import Path

from checking import MODEL, PATIENCE, QUESTION, V1, report

OPTIONS = (
    "--no-git", "--yes-always", "--no-check-update", "--analytics-disable", "--no-pretty",
    "--no-show-model-warnings", "--no-show-release-notes", "--map-tokens=0", "--no-detect-urls",
    "--edit-format=ask",
)  # fmt: skip


def aider(model: str, *more: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "OPENAI_API_BASE": V1, "OPENAI_API_KEY": "any", "LITELLM_LOCAL_MODEL_COST_MAP": "True"
    }  # fmt: skip
    return subprocess.run(
        [Path(sys.executable).with_name("aider"), f"--model=openai/{model}",
         *OPTIONS, *more, f"--message={QUESTION}"],
        env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100 * PATIENCE, check=False,
    )  # fmt: skip


def answer() -> None:
    for more in ((), ("--no-stream",)):
        done = aider(MODEL, *more)
        tokens = re.search(r"Tokens: ([\d.]+)k? sent, ([\d.]+)k? received", done.stdout)
        assert done.returncode == 0 and tokens, (done.stdout, done.stderr)
        assert float(tokens[2]) > 0


def unknown_model() -> None:
    done = aider("nothing")
    assert "NotFoundError" in done.stdout, (done.stdout, done.stderr)


sys.exit(report(answer=answer, unknown_model=unknown_model))
