"""``locust -f load_tests/locustfile.py GrpcUser``, or HttpStreamUser, OpenAIUser: README.md."""

from __future__ import annotations

from typing import Any

import grpc.experimental.gevent
from gemma4_load.locust_users.collect import Collector
from gemma4_load.locust_users.users import GrpcUser, HttpStreamUser, OpenAIUser, add_arguments
from locust import events
from locust.env import Environment

__all__ = ["GrpcUser", "HttpStreamUser", "OpenAIUser"]

grpc.experimental.gevent.init_gevent()


@events.init_command_line_parser.add_listener
def arguments(parser: Any, **_: Any) -> None:
    add_arguments(parser)
    # Whoever reaches the page can send load anywhere; locust's own default is every address.
    parser.set_defaults(web_host="127.0.0.1")


@events.init.add_listener
def begin(environment: Environment, **_: Any) -> None:
    environment.gemma4_collector = Collector(environment)


@events.quitting.add_listener
def show(environment: Environment, **_: Any) -> None:
    print("\n" + environment.gemma4_collector.table() + "\n", flush=True)
