"""``make test-gpu-image``: deploy/docker/Dockerfile, built and run on stand-ins. See README.md."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fresh"))

from checks import Checks, get, podman
from container import base_image, free_ports, podman_settings
from gpu_images import build_all

ROOT = Path(__file__).resolve().parents[2]
READY_S = 900
HARDENED = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges",
            "--user=10001:10001", "--network=host", "--shm-size=1g", "--tmpfs=/tmp:exec,size=1g",
            "--tmpfs=/home/gemma4:exec,mode=1777,size=1g"]  # fmt: skip
"""As docker-compose.yml runs it."""


def unchanged(check: Checks, base: str, image: str) -> None:
    """The base's own Python has what it had, and lacks nothing that it requires."""
    freeze = ["run", "--rm", "--entrypoint=/usr/bin/python3"]
    # Beside the list, podman writes of health checks where there is no systemd.
    listed = [
        [line for line in podman(*freeze, x, "-m", "pip", "list", "--format=freeze").stdout.split()
         if "==" in line]
        for x in (base, image)
    ]  # fmt: skip
    check(f"the base's {len(listed[0])} packages are as they were",
          listed[0] == listed[1] != [], listed)  # fmt: skip


def serve(check: Checks, image: str, volumes: list[str]) -> None:
    """A bf16 engine of the demo checkpoint, built and served in the image by its own command."""
    began = time.monotonic()
    built = podman("run", "--rm", *HARDENED, *volumes, image, "gemma4", "build", "/checkpoint",
                   "--out", "/engine/current", "--runtime", "tensorrt_llm", "--precision", "bf16",
                   "--gpu", "h100", "--slots", "2", "--max-total-tokens", "2048",
                   "--skip-verify", timeout=900)  # fmt: skip
    if not check(f"gemma4 build in the image: {time.monotonic() - began:.0f} s",
                 built.returncode == 0 and "entry point" in built.stdout, built.stdout):  # fmt: skip
        return
    http, grpc, metrics = free_ports(3)
    name = f"gemma4-gpu-image-{uuid.uuid4().hex[:8]}"
    began = time.monotonic()
    podman("run", "--detach", f"--name={name}", *HARDENED, *volumes, image, "gemma4", "serve",
           "--engine", "/engine/current", "--http-port", http, "--grpc-port", grpc,
           "--metrics-port", metrics)  # fmt: skip
    url = f"http://127.0.0.1:{http}/v2/models/gemma4"
    try:
        while get(f"{url}/ready")[0] != 200 and time.monotonic() - began < READY_S:
            time.sleep(1)
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        question = {"messages": json.dumps(messages), "max_tokens": 16, "temperature": 0.0}
        status, text = get(f"{url}/generate", json.dumps(question).encode(), timeout=120)
        log = podman("logs", name).stdout
        check(f"gemma4 serve answers {text!r} after {time.monotonic() - began:.0f} s",
              status == 200 and "Paris" in text, f"{text}\n{log}")  # fmt: skip
        guide = {"guided_decoding_guide_type": "regex", "guided_decoding_guide": "[0-9]{4}"}
        status, text = get(f"{url}/generate", json.dumps(question | guide).encode(), timeout=120)
        answer = json.loads(text).get("text_output", "") if status == 200 else ""
        check(f"a guided answer, by the base's llguidance: {answer!r}",
              re.fullmatch("[0-9]{4}", answer) is not None, text)  # fmt: skip
        found = podman("exec", name, "sh", "-c", "cat /proc/[0-9]*/environ | tr '\\0' '\\n'").stdout
        wanted = ("TRITON_CACHE_DIR=/cache/", "TORCHINDUCTOR_CACHE_DIR=/cache/")
        check("the worker compiles to the cache volume", all(x in found for x in wanted), found)
        found = podman("exec", name, "gemma4", "doctor").stdout
        check("doctor reads Triton's version", "2.51.0" in found, found)
        done = podman("stop", "--time=60", name)
        code = podman("inspect", "--format={{.State.ExitCode}}", name).stdout.strip()
        check(f"stop: exit status {code}", code == "0", done.stdout)
    finally:
        podman("rm", "--force", name)


def main() -> int:
    """Exit status 0 when every check passed. The last line says how many did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="bookworm", help="a release of Debian, or an image")
    options = parser.parse_args()
    podman_settings()
    check = Checks()
    names = build_all(base_image(options.base))
    unchanged(check, names["base"], names["image"])
    made = [f"gemma4-gpu-image-{uuid.uuid4().hex[:8]}-{x}" for x in ("engine", "cache")]
    volumes = [f"--volume={made[0]}:/engine", f"--volume={made[1]}:/cache",
               f"--volume={ROOT / 'demo/checkpoint'}:/checkpoint:ro"]  # fmt: skip
    try:
        serve(check, names["image"], volumes)
    finally:
        podman("volume", "rm", "--force", *made)
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
