from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-rendered", action="store_true", help="Write tests/deploy/rendered.")
