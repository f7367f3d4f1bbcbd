"""Runs a log with its API and gateways until it is stopped.

Threads. The ledger has two of its own (writer, publisher), so have the places that keep its checkpoints, and the search
index has one. Everything else, HTTP, gateways and lapses, runs in one event loop; the HTTP server reads the log in the
loop's worker threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from affidavit.capture.gateway.server import Gateway
from affidavit.capture.heartbeats import Heartbeats
from affidavit.capture.lapses import Lapses
from affidavit.capture.producer import Producer
from affidavit.compose.authorities import authority_sites
from affidavit.compose.gateways import make_gateway
from affidavit.compose.public import make_public
from affidavit.compose.site import Site
from affidavit.errors import AffidavitError
from affidavit.evidence.export import Bounds
from affidavit.history.live import FOLLOWED_KINDS, Live
from affidavit.history.shared import SharedRecords
from affidavit.history.sources import SOURCE_KINDS
from affidavit.history.store import History
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.recovery import Progress
from affidavit.ledger.timestamping import Timestamping
from affidavit.search.follower import Follower
from affidavit.server.app import make_app
from affidavit.server.peer import bind_socket, make_server
from affidavit.server.services import Services

if TYPE_CHECKING:
    from affidavit.compose.console import Console

_LOOK_S = 0.2
_SWITCH_INTERVAL_S = 0.0002
Say = Callable[[str], None]
Folding = Callable[[], contextlib.AbstractContextManager[Progress]]


def run(root: Path, say: Say, folding: Folding) -> int:
    """Run the log in `root` until SIGTERM or SIGINT; `say` is given the lines to print, `folding` what hears how far
    reading has got while the log is folded anew. The exit status: 0 when it was stopped in order, 3 when the log could
    not go on."""
    # The ledger's threads and the event loop hand records to each other; at the default of 5 ms each hand-over waits
    # that long while the loop is busy, which is longer than the fsync.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    return uvloop.run(_run(Site(root), say, folding))


async def _run(site: Site, say: Say, folding: Folding) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # before the log is opened: from then on it must be closed in order
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with folding() as progress:
        ledger = await asyncio.to_thread(site.open_ledger, progress)
    try:
        records = SharedRecords(ledger.reader())
        history = site.history(records)
        with folding() as progress:
            live = await asyncio.to_thread(history.load, progress)
        ledger.follow(live.applied, FOLLOWED_KINDS)
        followed = SharedRecords(ledger.reader())  # of its own: requests do not wait while the index is built
        follower = Follower(site.index(followed), followed, Bounds(followed), say)
        try:
            failed = await _serve(site, ledger, live, history, records, follower, say, stopping)
        finally:
            await asyncio.to_thread(follower.stop)
    finally:
        await asyncio.to_thread(_close, site, ledger)
    if failed is not None:
        raise failed
    say("Stopped in order.")
    return 0


async def _serve(
    site: Site,
    ledger: Ledger,
    live: Live,
    history: History,
    records: SharedRecords,
    follower: Follower,
    say: Say,
    stopping: asyncio.Event,
) -> AffidavitError | None:
    """Everything that runs beside the ledger. Ends once `stopping` is set (None) or the ledger has failed (why)."""
    loop = asyncio.get_running_loop()
    appender = site.producer(ledger, loop)
    sites = authority_sites(site.config, site.disk)
    timestamping = Timestamping(sites, ledger, site.producer(ledger, loop), site.clock, os.urandom)
    ending = threading.Event()
    producers = {item.system: site.producer(ledger, loop) for item in site.config.gateways}
    made = [make_gateway(site, item, live, records, producers[item.system]) for item in site.config.gateways]
    gateways, watchers = [gateway for gateway, _ in made], [watcher for _, watcher in made]
    services = site.services(
        live,
        history,
        records,
        appender,
        ending,
        file_access=False,
        ledger=ledger,
        index=follower.index,
        newest_anchor=lambda: ledger.anchor,
        authorities=timestamping.status,
        watches=lambda: tuple(watcher.status() for watcher in watchers),
    )
    console = _console(site, services)
    server = make_server(make_app(services, None if console is None else console.invite))
    beside = [one for one in (make_public(site), console) if one is not None]
    listening = bind_socket(site.config.server.socket)
    ours: dict[tuple[str, str | None], Producer] = {("gateway", system): one for system, one in producers.items()}
    ours["administration", None] = appender
    heartbeats = Heartbeats(live, records, ours, appender, site.clock, os.urandom)
    started: list[Gateway] = []
    servers = [loop.create_task(served) for served in (server.serve([listening]), *(one.serve() for one in beside))]
    lapses = Lapses(live, records, appender, site.clock, os.urandom)
    await lapses.overdue()
    tasks = [
        loop.create_task(lapses.run()),
        loop.create_task(heartbeats.run(ledger.follow(heartbeats.noticed, SOURCE_KINDS))),
        loop.create_task(timestamping.run()),
        *[loop.create_task(watcher.run()) for watcher in watchers],
    ]
    try:
        for gateway in gateways:
            await gateway.start()
            started.append(gateway)
        _say_how(site, started, records.size, [line for one in beside for line in one.words()], say)
        follower.start()
        await _end(ledger, stopping)
    finally:
        for gateway in started:
            await gateway.stop()
        ending.set()
        server.should_exit = True
        for one in beside:
            one.stop()
        await asyncio.wait(servers)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*servers, *tasks, return_exceptions=True)
        site.config.server.socket.unlink(missing_ok=True)
    return ledger.failure


def _console(site: Site, services: Services) -> Console | None:
    """The console of `site`, or None where the configuration does not ask for it."""
    if site.config.console is None:
        return None
    from affidavit.compose.console import Console  # noqa: PLC0415  templates are loaded only where pages are served

    return Console(site, site.config.console, services)


async def _end(ledger: Ledger, stopping: asyncio.Event) -> None:
    """Until all is to stop, or the ledger has failed."""
    while not stopping.is_set() and ledger.failure is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _LOOK_S)


def _close(site: Site, ledger: Ledger) -> None:
    if ledger.failure is None:
        site.close_ledger(ledger, "Stopped in order.")
    else:
        with contextlib.suppress(AffidavitError):
            site.close_ledger(ledger, "The log could not go on.")


def _say_how(site: Site, gateways: list[Gateway], size: int, beside: list[str], say: Say) -> None:
    say(f"{site.config.origin} runs: {size:,} records; API on {site.config.server.socket}.")
    for gateway, config in zip(gateways, site.config.gateways, strict=True):
        host = config.listen.host if config.listen.host not in ("0.0.0.0", "::") else "localhost"  # noqa: S104
        say(f"{config.system}, recorded (the password is a personal token, see `affidavit token create`):")
        say(f'  psql "host={host} port={gateway.port} dbname={config.database} user=HANDLE"')
    for line in beside:
        say(line)
