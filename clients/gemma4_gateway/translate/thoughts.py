"""Thoughts and summaries as ``encrypted_content``, for clients that send back nothing else of them.
They are not secret, since the client may see them, and so only encoded: every gateway can read them
again."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gemma4_gateway.errors import invalid

__all__ = ["sealed", "unsealed"]

_MARK = "gemma4-1."
"""Starts what was made here; the number is that of the form."""


def sealed(text: str) -> str:
    """Return ``text`` as an opaque string of ASCII."""
    return _MARK + base64.urlsafe_b64encode(text.encode()).decode()


def unsealed(place: str, value: Any) -> str:
    """Return the text; "" for None and "". Raises 400, of the parameter ``place``, for what was not
    made by :func:`sealed`."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not value.startswith(_MARK):
        raise invalid(place, "was made by another server; send plain text, or leave the item out")
    try:
        data = base64.b64decode(value[len(_MARK) :].encode(), altchars=b"-_", validate=True)
        return data.decode()
    except (binascii.Error, UnicodeError):
        raise invalid(place, "is damaged; send it as it came") from None
