"""Building in a process of its own: what a busy log hands over, and what such a process runs.

Theory. Writer and publisher share one interpreter, and of publishing most is building: hashes, bundles, files. So the
builder of a busy log is this module, run by the same interpreter beside the ledger. It is told how far the journal is
durable, reads the records from there itself, and answers with the root. It holds no key and signs nothing; the ledger
signs, and writes the checkpoint, as ever. It prunes the journal as well, which reads as much again.

Crashes. One request is under way at a time, and the ledger waits for its answer, so the two never write at once. When
the ledger's process ends, however it ends, the pipe does, and this process ends at once, whatever it is doing: to the
log that is a crash of the publisher at that moment, which every start expects. It inherits the lock of the log, which
is free only when both are gone, so no start reads what is still being written. When this process ends first, nothing
more is published or acknowledged: the ledger stops as after an error of the disk, and only a new start goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from affidavit import canonical
from affidavit.durable import OsDisk
from affidavit.errors import AffidavitError, Corruption, Unavailable
from affidavit.ledger.builder import Builder
from affidavit.ledger.layout import Layout
from affidavit.ledger.tail import JournalTail
from affidavit.limits import BUILDER_END_S, TILE_WIDTH
from affidavit.pipes import read_message, write_message
from affidavit.record.frame import Stored
from affidavit.tlog.checkpoint import Checkpoint


class _Message(msgspec.Struct, tag=True):
    pass


class _Begin(_Message):
    folder: str
    published: Checkpoint


class _Build(_Message):
    size: int


class _Published(_Message):
    size: int


class _Prune(_Message):
    published: Checkpoint
    snapshot_size: int
    segments_kept: int


class _Done(_Message):
    pass


class _Built(_Message):
    root: bytes


class _Pruned(_Message):
    problem: str


class _Failed(_Message):
    corrupt: bool
    code: str
    message: str
    hint: str


_Request = _Build | _Published | _Prune
_Answer = _Done | _Built | _Pruned | _Failed
_A = TypeVar("_A", _Done, _Built, _Pruned)
_encode = msgspec.msgpack.Encoder().encode
_begin = msgspec.msgpack.Decoder(_Begin)
_requests = msgspec.msgpack.Decoder(_Request)
_answers = msgspec.msgpack.Decoder(_Answer)


class Apart:
    """A builder and pruner in a process of its own. Owned by whoever publishes."""

    def __init__(self, layout: Layout, published: Checkpoint, lock: int) -> None:
        """For the log that is published up to `published`; `lock` is the descriptor of its lock.

        Raises `OSError` where no process can be started.
        """
        # -P: a module that lies in the current folder is never run. A session of its own: ^C is for the ledger, which
        # ends in order and needs us for that.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "affidavit.ledger.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pass_fds=(lock,),
            start_new_session=True,
        )
        self._tell(_Begin(str(layout.root), published))

    @property
    def pid(self) -> int:
        return self._process.pid

    def build(self, base: int, records: Sequence[Stored]) -> bytes:
        """As `Builds` promises. Of `records` only the number matters: they are read from the journal."""
        return self._ask(_Build(base + len(records)), _Built).root

    def published(self, size: int) -> None:
        """As `Builds` promises."""
        self._ask(_Published(size), _Done)

    def prune(self, published: Checkpoint, snapshot_size: int, segments_kept: int) -> str:
        """As `Builds` promises."""
        return self._ask(_Prune(published, snapshot_size, segments_kept), _Pruned).problem

    def stop(self) -> None:
        """End the process, and wait until it has."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(BUILDER_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: _Message, kind: type[_A]) -> _A:
        self._tell(request)
        answer: _Answer | None = None
        with contextlib.suppress(OSError, *canonical.UNREADABLE):
            message = read_message(_open(self._process.stdout))
            answer = None if message is None else _answers.decode(message)
        if isinstance(answer, _Failed):
            raise (Corruption if answer.corrupt else Unavailable)(answer.code, answer.message, answer.hint)
        if not isinstance(answer, kind):
            raise _ended()
        return answer

    def _tell(self, message: _Message) -> None:
        with contextlib.suppress(OSError):  # it has ended; why it has may still be read
            write_message(_open(self._process.stdin), _encode(message))


def _open(pipe: IO[bytes] | None) -> int:
    if pipe is None or pipe.closed:
        raise _ended()
    return pipe.fileno()


def _ended() -> Unavailable:
    return Unavailable("ledger.builder", "The process that builds the published files has ended.", "Start it again.")


class _Work:
    """What the process does for one log."""

    def __init__(self, begin: _Begin) -> None:
        disk, layout, published = OsDisk(), Layout(Path(begin.folder)), begin.published
        self._builder = Builder.resume(disk, layout, published)
        self._base = published.size // TILE_WIDTH * TILE_WIDTH
        self._tail = JournalTail(disk, layout.journal, published.origin, self._base)
        self._records: list[Stored] = []

    def do(self, request: _Request) -> _Answer:
        """Raises `AffidavitError`; then nothing more may be asked."""
        match request:
            case _Build(size):
                self._records += self._tail.read_to(size)
                return _Built(self._builder.build(self._base, self._records))
            case _Published(size):
                self._builder.published(size)
                base = size // TILE_WIDTH * TILE_WIDTH
                del self._records[: base - self._base]
                self._base = base
                return _Done()
            case _Prune(published, snapshot_size, kept):
                return _Pruned(self._builder.prune(published, snapshot_size, kept))


def main() -> None:
    """Do what is asked until an error, or until the pipe ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a service manager tells all its processes: the ledger ends us
    logging.disable(logging.CRITICAL)  # the ledger says it
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(messages,), daemon=True).start()
    work: _Work | None = None
    answer: _Answer = _Done()
    while not isinstance(answer, _Failed):
        message = messages.get()
        try:
            if work is None:
                work = _Work(_begin.decode(message))
                continue
            answer = work.do(_requests.decode(message))
        except AffidavitError as error:
            answer = _Failed(not isinstance(error, Unavailable), error.code, error.message, error.hint)
        with contextlib.suppress(OSError):  # nobody wants the answer any more
            write_message(1, _encode(answer))


def _receive(messages: queue.SimpleQueue[bytes]) -> None:
    """Take messages as they come; when there are no more, end at once, whatever is being done."""
    while (message := read_message(0)) is not None:
        messages.put(message)
    os._exit(0)


if __name__ == "__main__":
    main()
