"""Whether the environment asks for spans, by OpenTelemetry's own variables. Imports nothing of it.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. What says where
to, with which headers, certificates, sampler and limits is read by the SDK itself.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TracingError", "exporter_protocol", "wants_traces"]

_PREFIX = "OTEL_EXPORTER_OTLP_"
_ENDPOINTS = (f"{_PREFIX}TRACES_ENDPOINT", f"{_PREFIX}ENDPOINT")
_PROTOCOLS = (f"{_PREFIX}TRACES_PROTOCOL", f"{_PREFIX}PROTOCOL")
_EXPORTER = "OTEL_TRACES_EXPORTER"
_HTTP, _GRPC = "http/protobuf", "grpc"


class TracingError(ValueError):
    """The environment asks for spans that cannot be sent; the message says why, and the way out."""


def wants_traces(env: Mapping[str, str]) -> bool:
    """Say whether spans shall be sent: an endpoint is named, or the exporter ``otlp``; and nothing
    says no. Raises :class:`TracingError` for an exporter that is not here."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = env.get(_EXPORTER, "").strip().lower()
    if exporter == "none":
        return False
    if not exporter:
        return any(env.get(name, "").strip() for name in _ENDPOINTS)
    if exporter != "otlp":
        raise TracingError(f"{_EXPORTER}={exporter!r}: there is otlp, and none")
    return True


def exporter_protocol(env: Mapping[str, str]) -> str:
    """Return ``http/protobuf`` or ``grpc``. Raises :class:`TracingError` for another one."""
    name = next((name for name in _PROTOCOLS if env.get(name, "").strip()), "")
    protocol = env.get(name, "").strip().lower() or _HTTP
    if protocol not in (_HTTP, _GRPC):
        raise TracingError(f"{name}={protocol!r}: must be {_HTTP} (the default) or {_GRPC}")
    return protocol
