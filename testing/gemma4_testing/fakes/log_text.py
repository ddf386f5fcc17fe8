"""What a gateway's log has written, for tests."""

from __future__ import annotations

import io
from typing import cast

from gemma4_gateway.access_log import Log
from gemma4_runtime.logs.form import LogForm

__all__ = ["LogText"]


class LogText(io.StringIO):
    """``getvalue`` is all that was logged until then: it waits for the log's own thread."""

    def __init__(self, form: str = "json") -> None:
        super().__init__()
        self.log = Log(cast(LogForm, form), self)

    def getvalue(self) -> str:
        self.log.flush()
        return super().getvalue()
