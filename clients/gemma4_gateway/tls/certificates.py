"""The certificate that new connections get, read again when its files change."""

from __future__ import annotations

import ssl
import time
from datetime import datetime, timezone

from prometheus_client import Counter

from gemma4_gateway.access_log import Log
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.settings import SettingsError, TlsFiles
from gemma4_gateway.tls.files import fingerprint, load

__all__ = ["Certificates"]

_LOG_S = 1.0
"""Seconds between two lines about handshakes that failed."""


class Certificates:
    """Raises :class:`SettingsError` when the files cannot be used. Later, such files change
    nothing: the ones before go on until others come."""

    def __init__(self, files: TlsFiles, metrics: Metrics, log: Log) -> None:
        self._files = files
        self._log = log
        self._cut: Counter = metrics.connections_cut
        self._identity = load(files)
        self._tried = self._unsure = self._identity.fingerprint
        self._metrics = metrics.with_tls()
        self._quiet_until = 0.0
        self._unsaid = 0
        self._told("tls_certificate")

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection; those that are open keep theirs."""
        return self._identity.context

    @property
    def summary(self) -> str:
        """Return names and end in a line."""
        end = datetime.fromtimestamp(self._identity.not_after, timezone.utc)
        return f"{', '.join(self._identity.names) or 'no name'}, until {end:%Y-%m-%d %H:%M} UTC"

    def reload(self) -> None:
        """Take the files when they have changed. Call it about once a second: those who renew a
        certificate write two files, one after the other, so what is wrong counts at the second
        look only, and is tried again when a file changes."""
        found = fingerprint(self._files)
        if found == self._tried:
            return
        try:
            identity = load(self._files)
        except SettingsError as error:
            if found != self._unsure:
                self._unsure = found
                return
            self._tried = found
            self._metrics.reloads.labels("failed").inc()
            self._log.event("tls_certificate_kept", level="error", error=str(error))
            return
        self._tried = identity.fingerprint
        if identity.fingerprint == self._identity.fingerprint:
            return  # back at what is served
        self._identity = identity
        self._metrics.reloads.labels("loaded").inc()
        self._told("tls_certificate_read")

    def failed(self, reason: str, client: str, error: str) -> None:
        """Count it, and say so at most once a second."""
        self._cut.labels(reason).inc()
        now = time.monotonic()
        if now < self._quiet_until:
            self._unsaid += 1
            return
        self._quiet_until, unsaid, self._unsaid = now + _LOG_S, self._unsaid, 0
        self._log.event(reason, level="warning", client=client, error=error, unsaid=unsaid)

    def _told(self, event: str) -> None:
        identity = self._identity
        self._metrics.not_after.set(identity.not_after)
        end = datetime.fromtimestamp(identity.not_after, timezone.utc)
        self._log.event(
            event, level="warning" if identity.warnings else "info", names=list(identity.names),
            not_after=f"{end:%Y-%m-%dT%H:%M:%SZ}", warnings=list(identity.warnings),
        )  # fmt: skip
