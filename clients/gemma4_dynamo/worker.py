"""Joins Dynamo, serves, and leaves it again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import uvloop
from dynamo.runtime import DistributedRuntime
from gemma4_client import Gemma4Error
from gemma4_client.concurrency.timeouts import TIMED_OUT
from gemma4_runtime.logs.events import log_event

from gemma4_dynamo.card import card_folder
from gemma4_dynamo.dynamo_errors import exception_of
from gemma4_dynamo.joining import joining, set_at_signals
from gemma4_dynamo.load import Load
from gemma4_dynamo.membership import Membership
from gemma4_dynamo.model import Model, read_model
from gemma4_dynamo.modes import mode_of
from gemma4_dynamo.options import OptionsError, WorkerOptions
from gemma4_dynamo.reports import REPORT_S, Reports
from gemma4_dynamo.servers import Servers
from gemma4_dynamo.serving import Serving

__all__ = ["run"]

_ENDING_S = 5.0
"""Seconds that an answer which was ended has to tell Dynamo so."""


def run(options: WorkerOptions) -> None:
    """Serve until SIGTERM or SIGINT. Raises :class:`~gemma4_dynamo.options.OptionsError`."""
    uvloop.run(_run(options))


async def _run(options: WorkerOptions) -> None:
    model = read_model(options.engine)
    servers = Servers(options.servers, interval=options.health_interval, accept=model.check)
    stop = asyncio.Event()
    set_at_signals(stop)
    try:
        name = await _first_answer(servers, options, stop)
        if name is not None and not stop.is_set():
            await _serve(options, model, servers, name, stop)
    finally:
        await servers.close()


async def _first_answer(
    servers: Servers, options: WorkerOptions, stop: asyncio.Event
) -> str | None:
    """Wait for a server; return the name of the model, or None when told to stop. Raises
    :class:`~gemma4_dynamo.options.OptionsError` for one that runs another engine."""
    log_event("waiting_for_server", servers=[server.address for server in servers.all])
    while not stop.is_set():
        for server in servers.all:
            if await server.check():
                try:
                    return options.name or (await server.info()).model
                except Gemma4Error:
                    server.ready = False
            if server.refused:
                raise OptionsError(server.refused)
        await servers.tell()
        try:
            await asyncio.wait_for(stop.wait(), options.health_interval)
        except TIMED_OUT:
            pass
    return None


async def _serve(
    options: WorkerOptions, model: Model, servers: Servers, name: str, stop: asyncio.Event
) -> None:
    card = card_folder(model.folder, options.cards)
    load = Load(model.capacity(len(servers.all)))
    mode = mode_of(options.input, model, name)
    serving = Serving(servers, load, exception_of, mode.read, timeout=options.timeout)
    log_event("joining", discovery=options.discovery)
    with joining(options, stop):
        runtime = DistributedRuntime(
            asyncio.get_running_loop(),
            options.discovery,
            options.request_plane,
            event_plane=options.event_plane,
        )
        membership = Membership(runtime, options.endpoint)
        reports = Reports(membership.endpoint, load, interval=REPORT_S)
        await reports.start()
        await membership.register(model, name, load.capacity, card=card, text=mode.text)
    served = membership.serve(serving, mode.probe)
    log_event("serving", model=name, endpoint=options.endpoint, slots=load.capacity.slots)
    tasks = [
        asyncio.create_task(servers.watch(membership.listing.set)),
        asyncio.create_task(reports.run()),
    ]
    stopping = asyncio.create_task(stop.wait())
    try:
        ends: list[asyncio.Future[Any]] = [stopping, served, *tasks]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        tasks[0].cancel()
        if stop.is_set():
            await _leave(options, membership, serving)
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        reports.stop()
        runtime.shutdown()
        # Dynamo waits for answers that nobody reads for as long as their clients are there.
        done, left = await asyncio.wait([served, *tasks], timeout=_ENDING_S)
    for each in done:
        if not each.cancelled() and (failure := each.exception()) is not None:
            raise failure
    if left:
        log_event("answers_left", level="warning", running=serving.running)
    if not stop.is_set():
        log_event("dynamo_ended", level="error", endpoint=options.endpoint)
        raise SystemExit(1)


async def _leave(options: WorkerOptions, membership: Membership, serving: Serving) -> None:
    """Leave discovery, let frontends notice, let answers end, and give the rest away."""
    log_event("draining", running=serving.running)
    await membership.listing.set(False)
    await asyncio.sleep(options.drain_delay)
    try:
        await asyncio.wait_for(serving.idle.wait(), options.grace)
    except TIMED_OUT:
        log_event("grace_is_over", given_away=serving.end_all(), level="warning")
        with suppress(*TIMED_OUT):
            await asyncio.wait_for(serving.idle.wait(), _ENDING_S)
    log_event("stopped")
