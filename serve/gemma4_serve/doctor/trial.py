"""A trial of a built engine: load, first tokens, cancel, overload, drain, through Triton.

The engine is started as ``gemma4 serve`` would, on free loopback ports, and asked through the
Python client. Works for every runtime; on a GPU machine it is the proof that a build serves.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gemma4_client import Client, Gemma4Error, InvalidRequestError, UnavailableError
from gemma4_runtime.manifest import Manifest
from gemma4_runtime.restarts import read_restarts
from gemma4_runtime.server.board import Field

from gemma4_serve.doctor.report import Result
from gemma4_serve.errors import ServeError
from gemma4_serve.install import find_repository, find_triton
from gemma4_serve.logs import LogPump
from gemma4_serve.ports import Ports, claim_ports
from gemma4_serve.process import ServerOptions, TritonProcess

__all__ = ["run_trial"]

_CANCEL_S = 0.5
"""A cancel has to free its slot within this time (docs/guarantees.md)."""
_IDLE_S = 60.0
"""Seconds that the engine has to have no request left, also in a drain."""
_TEXT = "The quick brown fox jumps over the lazy dog. "


def run_trial(engine: Path, manifest: Manifest, *, start_timeout: float) -> list[Result]:
    """Run every check in turn; a check that fails does not stop the next."""
    results: list[Result] = []
    try:
        with _server(engine, start_timeout, results) as (server, url):
            trial = _Trial(server, url, manifest)
            checks = (trial.first_tokens, trial.pace, trial.cancel, trial.overload, trial.drain)
            for check in checks:
                results.append(_guard(check))
    except (ServeError, OSError) as error:
        results.append(Result("load", "fail", str(error)))
    return results


def _guard(check: Callable[[], Result]) -> Result:
    name = check.__name__.replace("_", " ")
    try:
        return check()
    except (Gemma4Error, TimeoutError, OSError) as error:
        return Result(name, "fail", f"{type(error).__name__}: {error}")


@contextmanager
def _server(
    engine: Path, start_timeout: float, results: list[Result]
) -> Iterator[tuple[TritonProcess, str]]:
    with tempfile.TemporaryDirectory(prefix="gemma4-trial-") as folder:
        options = ServerOptions(
            engine=engine.resolve(),
            repository=find_repository(),
            run_dir=Path(folder),
            host="127.0.0.1",
            ports=claim_ports("127.0.0.1", Ports(0, 0, 0)),
            grace=_IDLE_S,
            quality_gate="off",
        )
        started = time.monotonic()
        # The report says what matters; the pump's last words explain a failed start.
        pump = LogPump("text", verbose=False, write=lambda line: None)
        server = TritonProcess(
            options, find_triton(options.run_dir), pump, restarts=read_restarts("")
        )
        try:
            server.wait_ready(start_timeout, asked_to_stop=lambda: False)
            seconds = time.monotonic() - started
            results.append(
                Result("load", "ok", f"ready in {seconds:.1f} s", figures={"seconds": seconds})
            )
            yield server, f"127.0.0.1:{options.ports.grpc}"
        finally:
            server.stop()


class _Trial:
    def __init__(self, server: TritonProcess, url: str, manifest: Manifest) -> None:
        self._server = server
        self._url = url
        self._manifest = manifest

    def first_tokens(self) -> Result:
        """Check that greedy tokens equal to those that the source checkpoint gave at build time."""
        wanted = self._manifest.first_tokens
        if not wanted:
            return Result("first tokens", "info", "the manifest holds no reference")
        right = total = 0
        leads: list[float] = []
        with Client(self._url) as client:
            for reference in wanted:
                try:
                    answer = client.generate(
                        reference.text, max_tokens=len(reference.ids), temperature=0.0
                    ).result()
                except InvalidRequestError:
                    continue  # longer than this engine's limit
                common = _common(answer.ids, reference.ids)
                right += common
                total += len(reference.ids)
                if common < len(reference.margins):
                    leads.append(reference.margins[common])
        if not total:
            return Result("first tokens", "info", "no reference fits this engine's limits")
        share = right / total
        least = _reference_share(self._manifest.precision)
        return Result(
            "first tokens",
            "ok" if share >= least else "fail",
            f"{right} of {total} equal before the first difference, at least {least:.0%} wanted"
            + (
                f"; largest lead of a token that came differently: {max(leads):.3g} nats"
                if leads
                else ""
            ),
            "" if share >= least else "build again; if it stays, the runtime computes wrongly here",
            {"equal": right, "total": total},
        )

    def pace(self) -> Result:
        """Measure TTFT and tokens/s of one stream."""
        with Client(self._url) as client:
            began, first, count = time.monotonic(), 0.0, 0
            for delta in client.generate(_TEXT * 4, max_tokens=64, min_tokens=64, temperature=0.0):
                first = first or time.monotonic() - began
                count += len(delta.ids)
            spent = time.monotonic() - began - first
        rate = (count - 1) / spent if spent > 0 else 0.0
        blocks = self._server.board()[Field.KV_BLOCKS]
        cache = f", KV cache of {blocks} blocks" if blocks else ""
        return Result(
            "pace", "ok",
            f"one stream: first token after {first * 1000:.0f} ms, {rate:.0f} tokens/s{cache}",
            figures={"ttft_s": first, "tokens_per_s": rate},
        )  # fmt: skip

    def cancel(self) -> Result:
        """Check that a client that leaves frees its slot in time."""
        with Client(self._url) as client:
            stream = client.generate(_TEXT, max_tokens=self._long, min_tokens=self._long)
            next(iter(stream))
            stream.cancel()
            spent = self._until_idle()
        fine = spent <= _CANCEL_S
        return Result(
            "cancel", "ok" if fine else "fail", f"slot free after {spent:.2f} s",
            "" if fine else f"the limit is {_CANCEL_S} s", {"seconds": spent},
        )  # fmt: skip

    def overload(self) -> Result:
        """Check that beyond slots and queue there is UNAVAILABLE at once, and everybody else is
        served."""
        limits = self._manifest.limits
        room = limits.slots + limits.max_queued
        with Client(self._url) as client, ThreadPoolExecutor(room + 4) as pool:
            answers = list(pool.map(lambda i: self._one(client, i), range(room + 4)))
        self._until_idle()
        served, refused = answers.count("served"), answers.count("refused")
        fine = served >= room and served + refused == len(answers) and refused > 0
        return Result(
            "overload", "ok" if fine else "fail",
            f"{len(answers)} at once with room for {room}: {served} served, {refused} refused",
            "" if fine else f"others: {sorted(set(answers) - {'served', 'refused'})}",
        )  # fmt: skip

    def _one(self, client: Client, index: int) -> str:
        tokens = min(self._long, 128)
        try:
            client.generate(f"{index} {_TEXT}", max_tokens=tokens, min_tokens=tokens).result()
        except UnavailableError:
            return "refused"
        except Gemma4Error as error:
            return str(error)
        return "served"

    def drain(self) -> Result:
        """Check that running answers finish and new ones are refused."""
        with Client(self._url) as client, ThreadPoolExecutor(2) as pool:
            stream = client.generate(_TEXT, max_tokens=self._long, min_tokens=self._long)
            chunks = iter(stream)
            tokens = len(next(chunks).ids)
            drained = pool.submit(self._server.drain, hurry=lambda: False)
            self._wait(lambda: bool(self._server.board()[Field.DRAINING]))
            late = self._one(client, 0)
            tokens += sum(len(delta.ids) for delta in chunks)
            finished = drained.result()
        fine = finished and late == "refused" and tokens == self._long
        return Result(
            "drain", "ok" if fine else "fail",
            f"the running answer gave {tokens} of {self._long} tokens, a new request was {late}",
        )  # fmt: skip

    @property
    def _long(self) -> int:
        """Tokens of an answer that is still running when we look."""
        return min(512, self._manifest.limits.max_total_tokens // 2)

    def _until_idle(self) -> float:
        board = self._server.board()
        fields = (Field.IN_FLIGHT, Field.ACTIVE, Field.QUEUED)
        return self._wait(lambda: all(board[name] == 0 for name in fields))

    @staticmethod
    def _wait(condition: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > _IDLE_S:
                raise TimeoutError(f"not within {_IDLE_S:.0f} s")
            time.sleep(0.005)
        return time.monotonic() - began


def _reference_share(precision: str) -> float:
    """Return the least share of equal first tokens: all of them where nothing was rounded; a
    quantized model may leave the greedy path of its source at a near tie."""
    return {"f32": 1.0, "bf16": 0.9}.get(precision, 0.5)


def _common(ids: list[int], wanted: list[int]) -> int:
    """Return the length of the common beginning."""
    for count, (one, other) in enumerate(zip(ids, wanted, strict=False)):
        if one != other:
            return count
    return min(len(ids), len(wanted))
