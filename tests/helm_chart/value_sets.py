"""The value sets that are rendered and checked: each file of the chart and each variant once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

__all__ = ["CHART", "SETS"]

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "gemma4-triton"
CHECKPOINT = {"engine": {"build": {"checkpointClaim": "checkpoint"}}}
MONITORED = {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}
DOCS = "https://docs.example.org/gemma4"
DASHBOARDS = {
    "monitoring": {"dashboards": {"enabled": True, "labels": {"team": "llm"}, "docsUrl": DOCS}}
}
DIGEST = f"sha256:{'0' * 64}"
KEYS = [{"name": "team-a", "sha256": "0" * 64, "requests_per_minute": 60}]


def together(*parts: dict[str, Any]) -> dict[str, Any]:
    """The later part wins, folder by folder."""
    made: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            old = made.get(key)
            both = isinstance(old, dict) and isinstance(value, dict)
            made[key] = together(old, value) if both else value
    return made


def file(name: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / "values" / f"{name}.yaml").read_text(encoding="utf-8"))


SETS: dict[str, dict[str, Any]] = {
    "cpu": file("cpu"),
    "h100": together(file("h100"), CHECKPOINT),
    "h200-keda": together(file("h200"), CHECKPOINT, MONITORED, {"autoscaling": {"kind": "keda"}}),
    "b200-tp2-two-copies": together(
        file("b200"), CHECKPOINT, {"engine": {"tp": 2}, "triton": {"gpus": 4, "replicas": 3}}
    ),
    "scale-to-zero": together(
        file("h100"), CHECKPOINT, MONITORED,
        {"autoscaling": {"kind": "keda", "scaleToZero": True, "maxReplicas": 8}},
    ),
    "hpa": together(file("h100"), CHECKPOINT, MONITORED, {"autoscaling": {"kind": "hpa"}}),
    "shared-limits": together(
        file("h100"), CHECKPOINT,
        {
            "gateway": {
                "workers": 2, "replicas": 3, "limitsRedis": {"existingSecret": "redis-url", "secretKey": "u"},
                "queue": {"length": 8, "tokens": 5000, "seconds": 2.5},
            },
            "networkPolicy": {
                "gatewayEgress": [{"ports": [{"port": 6379, "protocol": "TCP"}]}],
            },
        },
    ),
    "alerts": together(
        file("h100"), CHECKPOINT, MONITORED,
        {"monitoring": {"rules": {"enabled": True, "leaveOut": ["Gemma4NoReadyBackend"]}}},
    ),
    "several-nodes": together(
        file("h100"), CHECKPOINT,
        {
            "triton": {
                "workload": "LeaderWorkerSet",
                "replicas": 2,
                "leaderWorkerSet": {"nodesPerGroup": 4, "exclusiveTopologyKey": "rack"},
            },
        },
    ),
    "several-nodes-keda": together(
        file("h100"), CHECKPOINT,
        {"triton": {"workload": "LeaderWorkerSet"}, "autoscaling": {"kind": "keda"}},
    ),
    "kserve": together(
        file("h200"), CHECKPOINT, {"triton": {"workload": "InferenceService", "replicas": 2}}
    ),
    "inference-pool": together(
        file("h100"), CHECKPOINT, MONITORED,
        {
            "gateway": {"mode": "sidecar", "servedModelNames": ["gemma-4"]},
            "inferencePool": {"enabled": True, "endpointPicker": {"name": "picker"}},
            "httpRoute": {
                "enabled": True,
                "parentRefs": [{"name": "inference-gateway"}],
                "hostnames": ["llm.example.org"],
            },
        },
    ),
    "downloaded-engine-behind-ingress": together(
        file("h100"),
        {
            "engine": {
                "source": "download",
                "download": {
                    "image": "registry.example.org/rclone:1.71",
                    "args": ["copy", "s3:engines/gemma4-fp8", "/engine/current"],
                    "envFrom": [{"secretRef": {"name": "s3"}}],
                },
            },
            "gateway": {
                "apiKeys": {"entries": KEYS},
                "corsOrigins": ["https://app.example.org"],
                "replicas": 1,
                "responseStore": {"enabled": True, "existingClaim": "responses"},
            },
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "llm.example.org",
                "tlsSecret": "llm-tls",
                "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
            },
            "networkPolicy": {
                "clients": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
                "downloadEgress": [{"ports": [{"port": 443, "protocol": "TCP"}]}],
            },
        },
    ),
    "engine-on-a-claim-and-plain-route": together(
        file("h200"),
        {
            "engine": {
                "source": "claim",
                "path": "gemma4/current",
                "storage": {"existingClaim": "engines"},
            },
            "gateway": {
                "apiKeys": {"existingSecret": "keys"},
                "tls": {"existingSecret": "gemma4-tls", "clientCaSecret": "clients-ca"},
                "webui": False, "dropUnsupported": True, "sseKeepAliveSeconds": 0.5,
                "replicas": 1, "responseStore": {"enabled": True, "days": 0.5},
            },
            **MONITORED,
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
            "triton": {
                "cache": {"existingClaim": "cache"}, "slots": 64, "maxQueued": 8, "threads": 4,
                "aliases": ["ensemble", "gemma"],
                "runtimeClassName": "nvidia", "priorityClassName": "serving",
            },
            "imagePullSecrets": [{"name": "registry"}],
        },
    ),
    "triton-alone": {
        "engine": {"source": "image", "path": "/models/gemma4"},
        "gateway": {"enabled": False},
        "networkPolicy": {"tritonClients": [{"podSelector": {}}]},
        "serviceAccount": {"create": False},
    },
    "dynamo": together(file("h100"), CHECKPOINT, MONITORED, file("dynamo")),
    "dynamo-tp2-without-planner": together(
        file("b200"),
        {
            "triton": {
                "workload": "DynamoGraphDeployment", "replicas": 4, "gpus": 2, "host": "127.0.0.1",
            },
            "engine": {
                "tp": 2, "source": "claim", "path": "current", "storage": {"existingClaim": "engines"},
            },
            "gateway": {"enabled": False},
            "dynamo": {
                "runtimeVersion": "1.7.0", "input": "text", "servedModelName": "gemma-4",
                "image": {"repository": "registry.example.org/gemma4-dynamo", "tag": "week-48"},
                "frontend": {
                    "replicas": 1, "routerMode": "round-robin", "migrationLimit": 0,
                    "extraArgs": ["--enable-anthropic-api"],
                    "env": [{"name": "DYN_LOG", "value": "info"}],
                    "nodeSelector": {"pool": "cpu"}, "priorityClassName": "serving",
                    "tolerations": [{"key": "cpu", "operator": "Exists"}],
                },
                "worker": {
                    "timeoutSeconds": 60.5, "drainDelaySeconds": 7.5,
                    "extraArgs": ["--health-interval=0.5"],
                    "env": [{"name": "DYN_LOG", "value": "info"}],
                },
            },
            "networkPolicy": {
                "clients": [{"namespaceSelector": {"matchLabels": {"name": "apps"}}}],
                "dynamoEgress": [{"ports": [{"port": 2379, "protocol": "TCP"}]}],
            },
            "imagePullSecrets": [{"name": "registry"}],
        },
    ),
    "dynamo-kv-downloaded-engine": together(
        file("h200"), file("dynamo"),
        {
            "engine": {
                "source": "download", "download": {"image": "registry.example.org/rclone:1.71"},
            },
            "triton": {"replicas": 3},
            "dynamo": {
                "frontend": {"routerMode": "kv"},
                "planner": {
                    "image": {"repository": "registry.example.org/planner", "digest": DIGEST},
                    "extraConfig": {"enable_load_scaling": False, "min_gpu_budget": 2},
                    "nodeSelector": {"pool": "cpu"},
                },
            },
            "networkPolicy": {
                "downloadEgress": [{"ports": [{"port": 8443, "protocol": "TCP"}]}],
            },
        },
    ),
    "dashboards": together(file("h100"), CHECKPOINT, DASHBOARDS),
    "bare": together(
        file("cpu"),
        {
            "networkPolicy": {"enabled": False},
            "triton": {
                "podDisruptionBudget": {"enabled": False},
                "topologySpread": {"enabled": False},
            },
        },
    ),
}  # fmt: skip
