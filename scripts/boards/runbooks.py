"""Which section of docs/operations.md says what to do when a panel looks bad: an alert's name."""

from __future__ import annotations

__all__ = ["RUNBOOKS"]

RUNBOOKS = {
    "Availability": "Gemma4AvailabilityBurn",
    "Availability over time": "Gemma4AvailabilityBurn",
    "Error budget left": "Gemma4AvailabilityBurn",
    "First token in time": "Gemma4TtftBurn",
    "Time to first token": "Gemma4TtftBurn",
    "Time to first token, p95": "Gemma4TtftBurn",
    "Waiting": "Gemma4QueueGrowing",
    "Requests that wait": "Gemma4QueueGrowing",
    "Share of slots in use, by replica": "Gemma4ReplicaSkew",
    "KV cache in use": "Gemma4KvCacheFull",
    "KV cache in use, by replica": "Gemma4KvCacheFull",
    "Tokens in a chunk": "Gemma4ClientsLag",
    "Slow requests, by part (p95)": "Gemma4PreparationSlow",
    "Refused by the gateway's limits": "Gemma4GatewayLimits",
    "Scraped": "Gemma4ServerDown",
    "Up": "Gemma4ServerDown",
    "Back ends that take requests": "Gemma4NoReadyBackend",
    "Back ends that take requests, by gateway": "Gemma4BackendNotReady",
    "Back ends that went away": "Gemma4BackendFlapping",
    "Engine's last sign of life": "Gemma4EngineFrozen",
    "Engine starts after a loss": "Gemma4EngineRestarts",
    "Draining": "Gemma4DrainStuck",
    "Answers are right": "Gemma4QualityGateFailed",
    "Agreement of the quality gate": "Gemma4QualityGateFailed",
    "Probabilities of the quality gate": "Gemma4QualityGateFailed",
    "Runs of the quality gate": "Gemma4QualityGateStale",
    "Certificate ends in": "Gemma4CertificateExpiring",
    "Certificate loaded again": "Gemma4CertificateReloadFailed",
    "Refused or failed, by code": "Gemma4OverloadRefusals",
    "Not taken by a back end": "Gemma4OverloadRefusals",
    "Workers of a gateway that were replaced": "Gemma4GatewayWorkerRestarts",
    "Lines of the log that were dropped": "Gemma4LogLinesDropped",
}
"""By the title of the panel."""
