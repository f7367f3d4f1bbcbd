"""Serves a log to this process alone, for commands that run while no server does."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from affidavit.compose.site import Site
from affidavit.config import SOCKET_NAME
from affidavit.errors import Unavailable
from affidavit.history.live import FOLLOWED_KINDS, Live
from affidavit.history.shared import SharedRecords
from affidavit.history.store import History
from affidavit.ledger.ledger import Ledger
from affidavit.server.app import make_app
from affidavit.server.peer import bind_socket, make_server


@contextlib.contextmanager
def serving(root: Path, *, writes: bool) -> Iterator[Path]:
    """Serve the log in `root` to this process alone, on a socket in a private folder, while no server runs.

    With `writes` the log is opened for writing, and closed in order at the end. Raises what opening it raises.
    """
    site = Site(root)
    ledger = site.open_ledger() if writes else None
    try:
        records = SharedRecords(ledger.reader()) if ledger is not None else site.read_only()
        history = site.history(records)
        live = history.load()
        if ledger is not None:
            ledger.follow(live.applied, FOLLOWED_KINDS)
        with _private_folder() as folder:
            path = Path(folder) / SOCKET_NAME
            served = Served(site, live, history, records, ledger, path)
            try:
                yield path
            finally:
                served.stop()
                history.close()
    finally:
        if ledger is not None:
            site.close_ledger(ledger, "The command is done.")


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="affidavit-", ignore_cleanup_errors=True)
    except OSError as error:
        raise Unavailable(
            "server.folder",
            f"No private folder could be made for a socket: {error.strerror or error}.",
            "See to the disk that /tmp is on, or name another folder in TMPDIR.",
        ) from None


class Served:
    """The API in a thread with a loop of its own."""

    def __init__(
        self, site: Site, live: Live, history: History, records: SharedRecords, ledger: Ledger | None, path: Path
    ) -> None:
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._tell: Callable[[], object] = lambda: None  # until the loop runs, nobody listens
        listening = bind_socket(path)

        async def serve() -> None:
            appender = None if ledger is None else site.producer(ledger, asyncio.get_running_loop())
            services = site.services(
                live,
                history,
                records,
                appender,
                self._ending,
                file_access=True,
                ledger=ledger,
                index=site.index(records),
                newest_anchor=lambda: None if ledger is None else ledger.anchor,
            )
            server = make_server(make_app(services))
            told = asyncio.Event()
            self._tell = partial(asyncio.get_running_loop().call_soon_threadsafe, told.set)
            self._ready.set()
            served = asyncio.create_task(server.serve(sockets=[listening]))
            await asyncio.wait({served, asyncio.create_task(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            if not server.server_state.tasks:  # nothing is being answered: no need for the waits of an orderly end
                served.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await served

        def run() -> None:
            try:
                asyncio.run(serve())
            finally:
                self._ready.set()  # where it could not begin, the command finds nobody there, and says so

        self._thread = threading.Thread(target=run, name="local API", daemon=True)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End the server and its thread."""
        self._ending.set()
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._tell()
        self._thread.join()
