"""A witness as a process: its folder made, logs added, and served until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from affidavit.clock import SystemClock
from affidavit.config import Address, parse_address
from affidavit.durable import OsDisk
from affidavit.errors import InvalidInput
from affidavit.evidence.wording import count_words
from affidavit.limits import VERIFY_KEY_FILE_BYTES_MAX
from affidavit.server.publicserver import bind_public, make_public_server
from affidavit.server.witness import Witness, make_witness_app
from affidavit.server.witness_folder import TYPES, WitnessFolder
from affidavit.tlog.keys import VerifierKey

_LOOK_S = 0.2
Say = Callable[[str], None]


def create_witness(root: Path, name: str, types: Sequence[str]) -> list[VerifierKey]:
    """Make a witness called `name` in `root`; its public keys, one of each type. Raises `InvalidInput`."""
    unknown = [one for one in types if one not in TYPES]
    if unknown or not types:
        raise InvalidInput(
            "witness.type", f"{''.join(unknown[:1])!r} is no type of key.", f"Types: {', '.join(TYPES)}."
        )
    return WitnessFolder(OsDisk(), root.absolute()).create(name, [TYPES[one] for one in dict.fromkeys(types)])


def add_log(root: Path, text: str) -> list[tuple[VerifierKey, bool]]:
    """Let the witness in `root` follow the log of a verifier key, given as such or as a file of them, one a line.

    Gives each key, and whether it is new.
    """
    disk = OsDisk()
    folder = WitnessFolder(disk, root.absolute())
    folder.signers()
    if text.count("+") < 2:
        data = disk.read(Path(text), VERIFY_KEY_FILE_BYTES_MAX)
        if not data:
            raise InvalidInput(
                "witness.log",
                f"{text[:200]!r} is no verifier key, and there is no file of that name with one in it.",
                "Give the log's key as `affidavit init` printed it, in quotes, or the log's file secrets/log.vkey.",
            )
        text = data.decode("ascii", "replace")
    return [folder.add(line) for line in text.split()]


def run_witness(root: Path, listen: str, say: Say) -> int:
    """Serve the witness in `root` on `listen` until SIGTERM or SIGINT; `say` is given the lines to print.

    The exit status: 0 when it was stopped in order, 3 when it could not go on.
    """
    address = parse_address(listen, "--listen")
    folder = WitnessFolder(OsDisk(), root.absolute())
    signers = folder.signers()
    lock = folder.lock()
    try:
        witness = Witness(folder, signers, SystemClock())
        return asyncio.run(_serve(witness, address, len(folder.logs()), say))
    finally:
        lock.release()


async def _serve(witness: Witness, address: Address, logs: int, say: Say) -> int:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    listening = bind_public(address.host, address.port)
    server = make_public_server(make_witness_app(witness))
    task = loop.create_task(server.serve(sockets=[listening]))
    url = f"http://{Address(address.host, listening.getsockname()[1])}"
    say(f"The witness answers on {url}; it follows {count_words(logs, 'log')}.")
    while not stopping.is_set() and witness.failure is None and not task.done():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _LOOK_S)
    server.should_exit = True
    await task
    if witness.failure is not None:
        raise witness.failure
    say("Stopped in order.")
    return 0
