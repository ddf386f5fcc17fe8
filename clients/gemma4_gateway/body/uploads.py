"""Read the whole body of a request before anything is done about it."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_client.concurrency.timeouts import TIMED_OUT, Timeout, end_now, timeout
from starlette.types import Message, Receive

from gemma4_gateway.errors import ApiError, overloaded

__all__ = ["Uploads"]

_DEADLINE_S = 30.0
"""Seconds that a body has to arrive."""
_MOST_UPLOADS = 256
"""Bodies under way, at most; the oldest one makes way."""
_MOST_BYTES = 512 * 1024 * 1024
"""Bytes of all bodies that are under way or whose requests run."""


@dataclass(eq=False, slots=True)
class _Upload:
    limit: Timeout
    size: int = 0
    evicted: bool = False


class Uploads:
    """Bodies under way, and the bytes of these and of the requests that run. One body has
    ``deadline`` seconds from its head to its last byte. When more than ``most_uploads`` are under
    way, or more than ``most_bytes`` are held, the oldest one under way is given up: a sender that
    trickles makes way for those that do not, and a body that comes with its head, as most do, is
    never turned away for their sake. Of several ``workers`` each has its part of both."""

    def __init__(
        self,
        most_body: int,
        *,
        deadline: float = _DEADLINE_S,
        most_uploads: int = _MOST_UPLOADS,
        most_bytes: int = _MOST_BYTES,
        workers: int = 1,
    ) -> None:
        self._most_body = most_body
        self._deadline = deadline
        self._most_uploads = max(1, most_uploads // workers)
        self._most_bytes = max(most_bytes // workers, most_body)
        self._under_way: dict[_Upload, None] = {}  # the oldest first
        self._bytes = 0
        self.evictions = 0

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    @property
    def held(self) -> int:
        """Bytes."""
        return self._bytes

    async def read(self, receive: Receive) -> bytes:
        """Read the whole body; :meth:`release` its length when the request is over. Raises
        :class:`~gemma4_gateway.errors.ApiError` 408, 413, 429, and :class:`ConnectionError` when
        the client leaves."""
        parts: list[bytes] = []
        upload = None
        try:
            async with timeout(self._deadline) as limit:
                upload = _Upload(limit)
                self._under_way[upload] = None
                self._make_way(upload)
                while True:
                    message = await receive()
                    parts.append(self._take(upload, message))
                    if not message.get("more_body", False):
                        break
        except BaseException as error:
            if upload is not None:
                self._bytes -= upload.size
            if isinstance(error, TIMED_OUT):
                raise self._too_slow(upload) from None
            raise
        finally:
            if upload is not None:
                self._under_way.pop(upload, None)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self, size: int) -> None:
        """Release the ``size`` bytes of a body whose request is over."""
        self._bytes -= size

    def _take(self, upload: _Upload, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left before its body was whole")
        data: bytes = message.get("body", b"")
        upload.size += len(data)
        self._bytes += len(data)
        if upload.size > self._most_body:
            raise ApiError(
                413, f"the body has more than {self._most_body} bytes", code="body_too_large"
            )
        self._make_way(upload)
        return data

    def _make_way(self, newest: _Upload) -> None:
        """Give up the oldest uploads, but not ``newest``, until the bounds hold."""
        while len(self._under_way) > self._most_uploads or self._bytes > self._most_bytes:
            oldest = next((u for u in self._under_way if u is not newest), None)
            if oldest is None:
                if self._bytes > self._most_bytes:
                    raise overloaded(
                        f"the requests that run hold {self._bytes} bytes, which is all this "
                        "gateway keeps; retry later",
                        code="gateway_full",
                        retry_after=1,
                    )
                return
            self.evictions += 1
            oldest.evicted = True
            self._bytes -= oldest.size
            oldest.size = 0
            del self._under_way[oldest]
            end_now(oldest.limit)

    def _too_slow(self, upload: _Upload | None) -> ApiError:
        text = f"the body did not come within {self._deadline:g} s"
        if upload is not None and upload.evicted:
            text = "the body came too slowly while many others were under way"
        return ApiError(408, text, code="body_timeout")
