"""Values of the gateway and of Triton become options of their commands, and a place to write."""

from __future__ import annotations

from typing import Any

import pytest
from helm_chart.rendering import container, of_kind, pods

OTHER = "engine-on-a-claim-and-plain-route"


def container_of(name: str, command: str) -> dict[str, Any]:
    (found,) = filter(None, (container(pod, command) for _, _, pod in pods(name)))
    return found


def test_the_defaults() -> None:
    args = container_of("h100", "gateway")["args"]
    assert {"--sse-keep-alive=15", "--webui"} <= set(args)
    assert not any("response-store" in a or "drop-unsupported" in a for a in args)
    assert not any(a.startswith("--alias") for a in container_of("h100", "serve")["args"])


def test_what_is_set() -> None:
    args = container_of(OTHER, "gateway")["args"]
    assert {"--sse-keep-alive=0.5", "--no-webui", "--drop-unsupported"} <= set(args)
    assert [a.split("=") for a in args if "response-store" in a] == [
        ["--response-store", "/responses/responses.db"],
        ["--response-store-count", "100000"],
        ["--response-store-mib", "1024"],
        ["--response-store-days", "0.5"],
    ]
    serve = container_of(OTHER, "serve")["args"]
    assert [a for a in serve if a.startswith("--alias")] == ["--alias=ensemble", "--alias=gemma"]


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        (OTHER, {"emptyDir": {"sizeLimit": "4Gi"}}),
        ("downloaded-engine-behind-ingress", {"persistentVolumeClaim": {"claimName": "responses"}}),
    ],
)
def test_the_store_lies_on_a_volume_that_two_pods_never_share(name: str, volume: Any) -> None:
    spec = of_kind(name, "Deployment", "-gateway")["spec"]
    assert spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}
    (found,) = [v for v in spec["template"]["spec"]["volumes"] if v["name"] == "responses"]
    assert found == {"name": "responses", **volume}
    mounts = container_of(name, "gateway")["volumeMounts"]
    assert {"name": "responses", "mountPath": "/responses"} in mounts
    assert of_kind("h100", "Deployment", "-gateway")["spec"]["strategy"]["type"] == "RollingUpdate"
