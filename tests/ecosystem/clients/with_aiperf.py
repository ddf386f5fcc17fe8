"""AIPerf, NVIDIA's load generator, over two of OpenAI's forms."""

import json
import subprocess
import sys
from pathlib import Path

from checking import MODEL, PATIENCE, URL, report

CHECKPOINT = Path(__file__).resolve().parents[3] / "demo/checkpoint"
REQUESTS = 12


def extra_inputs() -> str:
    """What each request has beside AIPerf's own fields. AIPerf fails a request whose answer has no
    text (``ParsedResponseRecord.valid``). At some of its prompts the demo model begins a call, which
    ``max_tokens`` cuts off and which is left out then, or a thought, which a completion has no place
    for: so both are forbidden."""
    tokens = json.loads((CHECKPOINT / "tokenizer.json").read_text())["added_tokens"]
    ids = {token["content"]: token["id"] for token in tokens}
    bias = {str(ids[begin]): -100 for begin in ("<|tool_call>", "<|channel>")}
    return json.dumps({"ignore_eos": True, "logit_bias": bias})


def profile(endpoint: str) -> None:
    folder = Path(f"aiperf-{endpoint}")
    done = subprocess.run(
        [Path(sys.executable).with_name("aiperf"), "profile", "--model", MODEL, "--url", URL,
         "--endpoint-type", endpoint, "--streaming", "--tokenizer", CHECKPOINT,
         # Its own count is of the text, which other tokens may make up.
         "--use-server-token-count", "--request-count", str(REQUESTS), "--concurrency", "3",
         "--synthetic-input-tokens-mean", "50", "--output-tokens-mean", "20", "--extra-inputs", extra_inputs(),
         "--artifact-dir", folder, "--ui", "none"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180 * PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    (file,) = folder.rglob("profile_export_aiperf.json")
    found = json.loads(file.read_text())
    assert not found.get("error_summary"), found["error_summary"]
    assert found["request_count"]["avg"] == REQUESTS, found["request_count"]
    assert found["output_sequence_length"]["avg"] == 20, found["output_sequence_length"]
    assert found["time_to_first_token"]["avg"] > 0


sys.exit(report(chat=lambda: profile("chat"), completions=lambda: profile("completions")))
