"""Sifting in processes of its own: the mapper that `affidavit verify` brings along, and what such a process runs.

A worker is this module run by the same interpreter. It is given tasks on its standard input and answers each on its
standard output, in order; it opens no file and no connection. Messages are MessagePack behind a length (u32); the first
holds the keys that open bodies. A worker ends when its input does, so it cannot outlive who started it. One that ends
before it has answered makes the verification fail with `Unavailable`: what it did not say is never taken for granted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import IO, TypeVar

import msgspec

from affidavit import canonical
from affidavit.errors import InvalidInput, Unavailable
from affidavit.limits import (
    PIPE_BYTES,
    VERIFY_AHEAD_MAX,
    VERIFY_ALONE_BUNDLES,
    VERIFY_WORKER_END_S,
    VERIFY_WORKER_SWITCH_S,
    VERIFY_WORKERS_MAX,
)
from affidavit.pipes import read_message, write_message
from affidavit.record.body import BodyKey
from affidavit.verify.mapper import InProcess, Mapper
from affidavit.verify.sift import Sieve, Sifted, Task

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_decode_task = msgspec.msgpack.Decoder(Task).decode
_decode_keys = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_sifted = msgspec.msgpack.Decoder(Sifted).decode


@contextmanager
def sifting(processes: int | None) -> Iterator[Mapper]:
    """A mapper that uses as many processes (None: one for each processor, within reason); they end with the context.

    Nothing is started for one process, nor before a log has shown itself to be long. Raises `InvalidInput` for less
    than one process or more than `VERIFY_WORKERS_MAX`.
    """
    if processes is not None and not 1 <= processes <= VERIFY_WORKERS_MAX:
        raise InvalidInput(
            "verify.processes", f"{processes} processes cannot share the work.", f"Give 1 to {VERIFY_WORKERS_MAX}."
        )
    count = min(len(os.sched_getaffinity(0)), VERIFY_WORKERS_MAX) if processes is None else processes
    if count < 2 or not sys.executable:
        yield InProcess()
        return
    workers = Workers(count)
    try:
        yield workers
    finally:
        workers.stop()


class Workers:
    """Gives tasks to processes in turn. Not for several threads."""

    def __init__(self, count: int, alone: int = VERIFY_ALONE_BUNDLES) -> None:
        self._count = count
        self._alone = alone
        self.started: list[subprocess.Popen[bytes]] = []

    def sift(
        self, keys: Mapping[bytes, BodyKey], tasks: Iterator[tuple[T, Task | None]]
    ) -> Iterator[tuple[T, Sifted | None]]:
        """As `Mapper` promises. The first bundles are sifted here: a short log is done before a process has begun.
        Without keys all are: looking at a header takes less than handing it over."""
        self.stop()
        here = InProcess().sift(keys, tasks)
        yield from here if not keys else islice(here, self._alone)
        waiting: deque[tuple[T, subprocess.Popen[bytes] | None]] = deque()
        for number, (beside, task) in enumerate(tasks):
            if not self.started:
                self.started = [_start(keys) for _ in range(self._count)]
            worker = None if task is None else self.started[number % self._count]
            if worker is not None:
                _tell(worker, _encode(task))
            waiting.append((beside, worker))
            if len(waiting) > VERIFY_AHEAD_MAX * self._count:
                yield _answer(*waiting.popleft())
        while waiting:
            yield _answer(*waiting.popleft())

    def stop(self) -> None:
        """End the processes: at once, whatever they are doing."""
        for worker in self.started:
            worker.kill()
        for worker in self.started:
            with contextlib.suppress(OSError):  # what could not be written any more
                worker.communicate(timeout=VERIFY_WORKER_END_S)
        self.started = []


def _start(keys: Mapping[bytes, BodyKey]) -> subprocess.Popen[bytes]:
    """A worker that holds the keys. -P: a module that lies in the current folder, evidence perhaps, is never run."""
    command = [sys.executable, "-P", "-m", "affidavit.cli.sifting"]
    try:
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    except OSError as error:
        raise _ended(f"could not be started: {error.strerror}") from None
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):  # a smaller pipe is slower, not wrong
            fcntl.fcntl(_open(pipe), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    _tell(worker, _encode([key.key for key in keys.values()]))
    return worker


def _tell(worker: subprocess.Popen[bytes], message: bytes) -> None:
    try:
        write_message(_open(worker.stdin), message)
    except OSError:
        raise _ended("ended before its work was done") from None


def _answer(beside: T, worker: subprocess.Popen[bytes] | None) -> tuple[T, Sifted | None]:
    if worker is None:
        return beside, None
    try:
        message = read_message(_open(worker.stdout))
        if message is None:
            raise EOFError
        return beside, _decode_sifted(message)
    except (OSError, EOFError, *canonical.UNREADABLE):
        raise _ended("ended before its work was done") from None


def _ended(what: str) -> Unavailable:
    return Unavailable(
        "verify.worker",
        f"A process that helps to verify {what}: there is no verdict.",
        "Run it again; with --processes 1 no other process helps.",
    )


def _open(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise _ended("has no pipe")
    return pipe.fileno()


def main() -> None:
    """Sift what comes in until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted command ends us by closing the pipe
    sys.setswitchinterval(VERIFY_WORKER_SWITCH_S)
    tasks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    # Reading on a thread of its own: whoever gives us tasks must not wait for us while we wait for it.
    threading.Thread(target=_receive, args=(tasks,), daemon=True).start()
    first = tasks.get()
    keys = [BodyKey(key) for key in _decode_keys(first or b"\x90")]
    sieve = Sieve({key.id: key for key in keys})
    with contextlib.suppress(BrokenPipeError):  # nobody wants the answer any more
        while (message := tasks.get()) is not None:
            write_message(1, _encode(sieve.sift(_decode_task(message))))


def _receive(tasks: queue.SimpleQueue[bytes | None]) -> None:
    message: bytes | None = b""
    while message is not None:
        message = read_message(0)
        tasks.put(message)


if __name__ == "__main__":
    main()
