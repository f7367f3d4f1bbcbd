"""The agent that holds a log's key, as a process: served until it is stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from affidavit.durable import OsDisk
from affidavit.errors import InvalidInput
from affidavit.ledger.layout import Layout
from affidavit.limits import SOCKET_PATH_BYTES_MAX
from affidavit.server.keyagent import KeyAgent, serve_agent
from affidavit.server.peer import bind_socket

Say = Callable[[str], None]


def run_agent(root: Path, path: Path, uids: Sequence[int], say: Say) -> int:
    """Hold the keys in `root` and answer on the socket `path` until SIGTERM or SIGINT; `say` is given lines to print.

    `uids` are the users who may ask, none for this process's own. Raises what ends it otherwise.
    """
    if len(bytes(path.absolute())) > SOCKET_PATH_BYTES_MAX:
        raise InvalidInput("agent.socket", f"{path} is longer than the {SOCKET_PATH_BYTES_MAX} bytes allowed.")
    disk, folder = OsDisk(), root.absolute()
    if not disk.exists(Layout(folder).secrets):
        raise InvalidInput(
            "agent.none", f"{root} holds no keys: there is no {Layout(folder).secrets}.", "See docs/howto/keys.md."
        )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    lock = disk.lock(Layout(folder).lock)
    try:
        agent = KeyAgent(disk, folder, os.urandom)
        with bind_socket(path) as listening:
            say(f"The agent holds the key of {agent.verifiers[0].name} and answers on {path}.")
            for key in agent.verifiers:
                say(f"  {key.to_text()}")
            serve_agent(agent, listening, uids or [os.geteuid()], stopping.is_set)
        path.unlink(missing_ok=True)
    finally:
        lock.release()
    say("Stopped in order.")
    return 0
