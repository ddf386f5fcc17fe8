"""What a gateway's log has written, for tests."""

from __future__ import annotations

import io

from gemma4_gateway.access_log import Log

__all__ = ["LogText"]


class LogText(io.StringIO):
    """``getvalue`` is all that was logged until then: it waits for the log's own thread."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log("json", self)

    def getvalue(self) -> str:
        self.log.flush()
        return super().getvalue()
