"""The profile gpu of docker-compose.yml itself, with the GPU image on stand-ins of its bases."""

from __future__ import annotations

import time

from checks import Checks, podman
from project import Project
from stack import DEFAULT, HEALTHY_S, STOP_S, chat

__all__ = ["gpu_profile", "settings"]


def settings(env: dict[str, str], image: str, checkpoint: str) -> dict[str, str]:
    """What .env says: a small checkpoint, a small machine."""
    return {
        **env, "GPU": "h100", "IMAGE": image, "CHECKPOINT": checkpoint, "SLOTS": "4",
        "MAX_TOTAL_TOKENS": "2048", "MEMORY": "8g", "SHM_SIZE": "1g", "TMP_SIZE": "1g",
        "HOME_SIZE": "1g",
    }  # fmt: skip


def gpu_profile(check: Checks, project: Project, ports: dict[str, str]) -> None:
    """Order, service sets, an engine of TensorRT-LLM that is built once and served."""
    for turn in ("first", "second"):
        began = time.monotonic()
        done = project.compose("up", "--detach", "--no-build", profiles=("gpu",))
        healthy = project.wait_healthy(DEFAULT, HEALTHY_S)
        sets = project.containers().keys() == DEFAULT | {"engine-build"}
        built = project.inspect("engine-build")
        log = podman("logs", built["Id"]).stdout
        again = " built: " not in log and "is up to date" in log
        right = built["State"]["ExitCode"] == 0 and again == (turn == "second")
        if not check(f"profile gpu, {turn} up: engine {'was up to date' if again else 'built'}, "
                     f"healthy after {time.monotonic() - began:.0f} s", right and sets
                     and healthy.keys() == DEFAULT, f"{healthy}\n{log}\n{done.stdout}"):  # fmt: skip
            print(podman("logs", project.containers()["triton"]).stdout[-3000:])
            return
        runtime = project.exec("triton", "sh", "-c", "cat /engine/current/engine.json").stdout
        check("triton serves the engine of TensorRT-LLM", '"tensorrt_llm"' in runtime, runtime)
        chat(check, ports["GATEWAY_PORT"])
        if turn == "first":
            project.compose("down", profiles=("gpu",), timeout=STOP_S)
