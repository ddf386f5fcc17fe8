"""Wrong values are refused, and the message names the value."""

from __future__ import annotations

import json
from typing import Any

import helm_python
import pytest
import yaml
from helm_chart.rendering import render
from helm_chart.value_sets import CHART, CHECKPOINT, SETS, file, together

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

WRONG = {  # what is set, and words of the message
    "triton.replica": (1, ["/triton", "replica"]),
    "tritn.replicas": (1, ["tritn"]),
    "triton.replicas": ("two", ["/triton/replicas", "integer"]),
    "triton.workload": ("DaemonSet", ["/triton/workload", "Deployment"]),
    "triton.gpus": (-1, ["/triton/gpus", "minimum"]),
    "triton.graceSeconds": ("2m", ["/triton/graceSeconds", "integer"]),
    "triton.shmSize": ("16 GB", ["/triton/shmSize"]),
    "triton.image.digest": ("latest", ["/triton/image/digest"]),
    "triton.maxUnavailable": ("1 pod", ["/triton/maxUnavailable"]),
    "engine.source": ("s3", ["/engine/source", "build"]),
    "engine.tp": (0, ["/engine/tp", "minimum"]),
    "engine.build.preset": ("fast", ["/engine/build/preset", "latency"]),
    "engine.storage.accessModes": ([], ["/engine/storage/accessModes"]),
    "gateway.mode": ("daemon", ["/gateway/mode", "sidecar"]),
    "gateway.apiKeys.entries": ([{"name": "a", "sha256": "sk-1"}], ["entries/0/sha256"]),
    "gateway.tls.existingSecret": ("My Secret", ["/gateway/tls/existingSecret"]),
    "gateway.sseKeepAliveSeconds": ("15s", ["/gateway/sseKeepAliveSeconds", "number"]),
    "gateway.webui": ("no", ["/gateway/webui", "boolean"]),
    "gateway.responseStore.mib": (0, ["/gateway/responseStore/mib", "minimum"]),
    "gateway.responseStore.sizeLimit": ("4 GB", ["/gateway/responseStore/sizeLimit"]),
    "triton.aliases": ("ensemble", ["/triton/aliases", "array"]),
    "gateway.service.port": (70000, ["/gateway/service/port", "maximum"]),
    "autoscaling.kind": ("vpa", ["/autoscaling/kind", "keda"]),
    "autoscaling.keda.triggers": ([{"name": "x"}], ["triggers/0"]),
    "autoscaling.keda.prometheusAddress": ("prometheus:9090", ["prometheusAddress"]),
    "monitoring.dashboards.docsUrl": ("docs/", ["/monitoring/dashboards/docsUrl"]),
    "podMonitor.interval": ("often", ["/podMonitor/interval"]),
    "monitoring.rules.leaveOut": (["slow"], ["/monitoring/rules/leaveOut/0"]),
    "dynamo.runtimeVersion": ("1.6", ["/dynamo/runtimeVersion"]),
    "dynamo.input": ("words", ["/dynamo/input", "tokens"]),
    "dynamo.frontend.routerMode": ("nearest", ["/dynamo/frontend/routerMode", "least-loaded"]),
    "dynamo.frontend.migrationLimit": (-1, ["/dynamo/frontend/migrationLimit", "minimum"]),
    "dynamo.frontend.replicas": (0, ["/dynamo/frontend/replicas", "minimum"]),
    "dynamo.worker.drainDelaySeconds": ("2s", ["/dynamo/worker/drainDelaySeconds", "number"]),
    "dynamo.worker.image": ({"tag": "x"}, ["/dynamo/worker", "image"]),
    "dynamo.planner.ttftMs": (0, ["/dynamo/planner/ttftMs"]),
    "dynamo.planner.itlMs": ("40ms", ["/dynamo/planner/itlMs", "number"]),
    "dynamo.planner.maxGpus": (0, ["/dynamo/planner/maxGpus", "minimum"]),
    "runAsUser": (0, ["/runAsUser", "minimum"]),
}
CONTRADICTIONS = [  # values that are each right, and words of the message
    ({}, "engine.build.checkpointClaim"),
    ({"engine": {"source": "claim"}}, "engine.storage.existingClaim and engine.path"),
    ({"engine": {"source": "image", "path": "demo"}}, 'engine.path "demo"'),
    ({"engine": {"source": "download"}}, "engine.download.image"),
    (together(CHECKPOINT, {"triton": {"gpus": 3}, "engine": {"tp": 2}}), "triton.gpus 3"),
    (together(CHECKPOINT, {"triton": {"host": "127.0.0.1"}}), "triton.host 127.0.0.1"),
    (
        together(CHECKPOINT, {"inferencePool": {"enabled": True}}),
        "inferencePool.enabled: its endpoint picker",
    ),
    (
        together(CHECKPOINT, {"gateway": {"mode": "sidecar"}, "inferencePool": {"enabled": True}}),
        "inferencePool.endpointPicker.name",
    ),
    (
        together(
            file("cpu"),
            {"inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}}},
        ),
        "reads Triton's metrics",
    ),
    (
        together(
            CHECKPOINT,
            {"autoscaling": {"kind": "keda"}, "triton": {"workload": "InferenceService"}},
        ),
        "autoscaling.kind: KServe",
    ),
    (
        together(CHECKPOINT, {"autoscaling": {"kind": "hpa"}, "triton": {"replicas": 2}}),
        "triton.replicas 2",
    ),
    (
        together(CHECKPOINT, {"autoscaling": {"kind": "hpa", "minReplicas": 9}}),
        "autoscaling.minReplicas 9",
    ),
    (together(CHECKPOINT, {"autoscaling": {"scaleToZero": True}}), "needs autoscaling.kind keda"),
    (
        together(
            CHECKPOINT,
            {"autoscaling": {"kind": "keda", "scaleToZero": True}, "gateway": {"mode": "sidecar"}},
        ),
        "needs gateway.mode deployment",
    ),
    (together(CHECKPOINT, {"ingress": {"enabled": True}}), "ingress.host"),
    (
        together(CHECKPOINT, {"gateway": {"responseStore": {"enabled": True}}}),
        "gateway.replicas 2: gateways on several nodes",
    ),
    (
        together(file("cpu"), {"gateway": {"responseStore": {"enabled": True}}}),
        "set gateway.mode to deployment",
    ),
    (
        together(CHECKPOINT, {"gateway": {"tls": {"clientCaSecret": "ca"}}}),
        "set gateway.tls.existingSecret",
    ),
    (
        together(
            CHECKPOINT,
            {
                "gateway": {"mode": "sidecar", "tls": {"existingSecret": "tls"}},
                "inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}},
            },
        ),
        "an InferencePool is asked over HTTP",
    ),
    (together(CHECKPOINT, {"httpRoute": {"enabled": True}}), "httpRoute.parentRefs"),
    (
        together(CHECKPOINT, {"dynamo": {"planner": {"enabled": True}}}),
        "dynamo.planner.enabled: needs triton.workload DynamoGraphDeployment, it is Deployment",
    ),
    (
        together(CHECKPOINT, {"triton": {"workload": "DynamoGraphDeployment"}}),
        "set gateway.enabled to false",
    ),
    (
        together(CHECKPOINT, file("dynamo"), {"autoscaling": {"kind": "keda"}}),
        "autoscaling.kind keda: Dynamo's operator owns the workers",
    ),
    (
        together(file("dynamo"), {"engine": {"source": "image", "path": "/models/gemma4"}}),
        'engine.path "/models/gemma4": Dynamo\'s worker is another image',
    ),
    (
        together(
            CHECKPOINT,
            file("dynamo"),
            {"dynamo": {"input": "text", "frontend": {"routerMode": "kv"}}},
        ),
        "dynamo.frontend.routerMode kv",
    ),
    (
        together(CHECKPOINT, file("dynamo"), {"triton": {"gpus": 4}, "engine": {"tp": 2}}),
        "triton.gpus 4: the planner learns from workers of one copy",
    ),
    (
        together(
            CHECKPOINT,
            file("dynamo"),
            {"triton": {"gpus": 4}, "engine": {"tp": 4}, "dynamo": {"planner": {"maxGpus": 7}}},
        ),
        "dynamo.planner.maxGpus 7: dynamo.planner.minWorkers 2 take 8",
    ),
    (
        together(CHECKPOINT, file("dynamo"), {"ingress": {"enabled": True, "host": "a"}}),
        "ingress.enabled: leads to the gateway, which Dynamo's frontend is in the place of",
    ),
    (
        together(
            CHECKPOINT,
            {"ingress": {"enabled": True, "host": "a"}, "gateway": {"enabled": False}},
        ),
        "gateway.enabled",
    ),
    (
        together(
            CHECKPOINT,
            {
                "gateway": {
                    "apiKeys": {
                        "existingSecret": "keys",
                        "entries": [{"name": "a", "sha256": "0" * 64}],
                    }
                }
            },
        ),
        "existingSecret or entries",
    ),
]


def nested(path: str, value: Any) -> Any:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


@pytest.mark.parametrize("path", WRONG)
def test_a_wrong_value_is_refused_by_name(path: str) -> None:
    value, words = WRONG[path]
    with pytest.raises(helm_python.HelmError) as error:
        render(together(SETS["h100"], nested(path, value)))
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(("values", "words"), CONTRADICTIONS)
def test_values_that_contradict_each_other(values: Any, words: Any) -> None:
    with pytest.raises(helm_python.HelmError) as error:
        render(values)
    assert words in str(error.value)


def leaves(node: Any, path: str = "") -> Any:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path


def test_the_schema_has_every_default_and_nothing_else() -> None:
    def names(schema: Any, path: str = "") -> Any:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        if "properties" not in schema:
            return {path}
        assert schema["additionalProperties"] is False, path
        found = set()
        for key, value in schema["properties"].items():
            found |= names(value, f"{path}.{key}" if path else key)
        return found

    free = ("requests", "limits")
    declared = {".".join(p for p in name.split(".")) for name in names(SCHEMA)} - {"global"}
    cut = {
        ".".join(parts[: next((i + 1 for i, p in enumerate(parts) if p in free), len(parts))])
        for parts in (leaf.split(".") for leaf in leaves(DEFAULTS))
    }
    assert declared == cut


def templates() -> str:
    folder = CHART / "templates"
    return "\n".join(p.read_text(encoding="utf-8") for p in sorted(folder.iterdir()))


@pytest.mark.parametrize("leaf", sorted({leaf.rsplit(".", 1)[-1] for leaf in leaves(DEFAULTS)}))
def test_no_value_is_ignored(leaf: Any) -> None:
    """Each is named in a template, or is part of one that is passed on as a whole."""
    whole = {"cpu", "memory", "request_type", "kv_cache_block_type", "kubernetes"}
    assert leaf in whole or f".{leaf}" in templates()
