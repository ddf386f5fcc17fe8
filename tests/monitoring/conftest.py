"""The options of the faults that fire alerts."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--at-once", type=int, default=3, help="How many scenes run at the same time: 3 on 2 cores."
    )
