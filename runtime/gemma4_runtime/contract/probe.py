"""How a gateway's own requests are told from those of users."""

from __future__ import annotations

__all__ = ["PROBE_REQUEST_ID"]

PROBE_REQUEST_ID = "gemma4-gateway-probe"
"""Id of the request by which a gateway asks whether the processes behind a ready model answer. It
is made to be refused, every two seconds, so a refusal of it says nothing of users."""
