"""One user class for each protocol."""

from __future__ import annotations

import math
import os
import sys
import time
from itertools import count
from typing import Any, ClassVar

import numpy as np
from locust import User, constant, task
from locust.exception import StopUser

from gemma4_load.errors import LoadError, OptionError
from gemma4_load.locust_users.collect import Collector
from gemma4_load.locust_users.measured import MeasuredWords
from gemma4_load.observe import Observation
from gemma4_load.targets import API_KEY, client_certificate
from gemma4_load.targets.base import failure_of
from gemma4_load.targets.blocking import (
    BlockingGrpc,
    BlockingHttp,
    BlockingOpenAI,
    BlockingTarget,
)
from gemma4_load.workloads.base import Ask, Reply, Workload
from gemma4_load.workloads.lengths import parse_length
from gemma4_load.workloads.sampled import parse_sampling
from gemma4_load.workloads.spec import WorkloadSpec

__all__ = ["GrpcUser", "HttpStreamUser", "OpenAIUser", "add_arguments"]

_numbers = count()
_words = MeasuredWords()


def add_arguments(parser: Any) -> None:
    """Add the options of the workload, also in locust's start form."""
    group = parser.add_argument_group("Gemma 4")
    group.add_argument("--workload", default="lengths", help="lengths, chat, tools or structured")
    group.add_argument("--prompt-tokens", default="128", help="N or a distribution")
    group.add_argument("--output-tokens", default="64", help="N or a distribution")
    group.add_argument("--cancel-share", type=float, default=0.0, help="0 to 1")
    group.add_argument("--sampling", default="", help="such as temperature=0.7,top_p=0.9")
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--warmup", type=float, default=0.0, help="seconds that do not count")
    group.add_argument("--answer-timeout", type=float, default=120.0, help="seconds")
    group.add_argument("--openai-model", default="", help="default: the server's first")


class _StreamUser(User):  # type: ignore[misc]
    """Asks again as soon as it is answered: locust's number of users is the concurrency."""

    abstract = True
    wait_time = constant(0)
    protocol: ClassVar[str]

    def connect(self) -> BlockingTarget:
        raise NotImplementedError

    def on_start(self) -> None:
        options = self.environment.parsed_options
        try:
            self._target = self.connect()
            if not 0 <= options.warmup < math.inf:
                raise OptionError(f"--warmup {options.warmup}: must be 0 or more seconds")
            spec = WorkloadSpec(
                kind=options.workload,
                prompt=parse_length("--prompt-tokens", options.prompt_tokens),
                output=parse_length("--output-tokens", options.output_tokens),
                cancel_share=options.cancel_share,
                sampling=parse_sampling(options.sampling.split(",") if options.sampling else ()),
            )
            self._workload: Workload = spec.make(_words.of(self.host, self._target))
        except LoadError as error:
            print(f"{type(self).__name__}, {self.host}: {error}", file=sys.stderr)
            self.environment.process_exit_code = 1
            self.environment.runner.quit()
            raise StopUser from None
        self._next: Ask | None = None

    def on_stop(self) -> None:
        if hasattr(self, "_target"):
            self._target.close()

    @task  # type: ignore[untyped-decorator]
    def request(self) -> None:
        number, worker = next(_numbers), getattr(self.environment.runner, "worker_index", 0)
        rng = np.random.default_rng([self.environment.parsed_options.seed, worker, number])
        ask = self._next or self._workload.first(rng)
        began = time.perf_counter()
        observed = Observation(number, ask, lambda: time.perf_counter() - began)
        record, reply, failure = observed.record, Reply(), None
        try:
            reply = self._target.ask(ask, observed.seen)
            observed.answered(reply)
        except Exception as error:  # noqa: BLE001 - it is counted, with its text
            failure = failure_of(error)
            observed.failed(failure)
        self._next = self._workload.follow(ask, reply, rng) if record.whole else None
        collector: Collector = self.environment.gemma4_collector
        collector.add(record, began)
        self.environment.events.request.fire(
            request_type=self.protocol,
            name=f"{ask.workload}, left" if record.left else ask.workload,
            response_time=record.end * 1000,
            response_length=len(reply.text.encode()),
            exception=failure,
            context={},
        )


class GrpcUser(_StreamUser):
    """Triton's gRPC streams."""

    host = f"127.0.0.1:{os.environ.get('GRPC_PORT', '8001')}"
    protocol = "gRPC"

    def connect(self) -> BlockingTarget:
        return BlockingGrpc(self.host, timeout=self.environment.parsed_options.answer_timeout)


class HttpStreamUser(_StreamUser):
    """Triton's HTTP ``generate_stream``."""

    host = f"http://127.0.0.1:{os.environ.get('HTTP_PORT', '8000')}"
    protocol = "HTTP"

    def connect(self) -> BlockingTarget:
        return BlockingHttp(self.host, timeout=self.environment.parsed_options.answer_timeout)


class OpenAIUser(_StreamUser):
    """The gateway, or another OpenAI server."""

    host = "http://127.0.0.1:8080/v1"
    protocol = "OpenAI"

    def connect(self) -> BlockingTarget:
        options = self.environment.parsed_options
        return BlockingOpenAI(
            self.host,
            timeout=options.answer_timeout,
            model=options.openai_model,
            api_key=os.environ.get(API_KEY, ""),
            context=client_certificate(),
        )
