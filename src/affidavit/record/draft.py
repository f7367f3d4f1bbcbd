"""Drafts and the sink: the one verb that every producer is given.

A producer owns a *stream* (a random name for one incarnation of it) and numbers its drafts from 0. It hands over a
batch and learns what became of it. One batch is in flight per stream. All values serialise, so that a producer may
live in another process or on another machine.

What sealing promises, draft by draft, in order:
 1. the number is the stream's next one; a repeat of the last batch gets its first answer again, a hole is recorded as
    `log.gap` before the draft, anything else is refused;
 2. the references exist, point back, and are of the right kind, and the session is open;
 3. a draft that carries a decision of ours (`DECIDED_KINDS`) was decided under the current state, or is refused with
    the code `conflict` and the newer state index (except `guarantee: after`);
 4. the batch is sealed up to its first refused draft; that one and the rest keep their numbers unused.
When `done` is called the sealed records are durable. After a failure of the disk nothing is acknowledged any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class Earlier(msgspec.Struct, frozen=True, tag="earlier"):
    """A reference to the record that this stream's draft number `seq` became."""

    seq: int


Reference = int | Earlier


class Draft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record before sealing. Fields as in `Header`; `at` is nanoseconds since 1970; `tags` are names, not tags;
    `body` is plaintext from `encode_body`."""

    kind: str
    id: str
    at: int
    basis: str = "observed"
    guarantee: str | None = None
    decided: int | None = None
    actor: str | None = None
    session: Reference | None = None
    system: str | None = None
    action: str | None = None
    decision: str | None = None
    outcome: str | None = None
    context: Reference | None = None
    ref: Reference | None = None
    tags: tuple[str, ...] = ()
    root: str | None = None
    body: bytes | None = None


class Batch(msgspec.Struct, frozen=True):
    """Drafts of one stream, numbered `first`, `first`+1, … `boot` names the boot of the machine whose clock they
    carry."""

    stream: str
    boot: str
    first: int
    drafts: tuple[Draft, ...]


class Receipt(msgspec.Struct, frozen=True):
    """Where a draft stands in the log. `state` is the header's `log.state`, `at` its `log.at`."""

    index: int
    id: str
    at: str
    state: int


class Refusal(msgspec.Struct, frozen=True):
    """Why the draft after the last receipt was not sealed.

    `code`: `conflict` (decide again at `state`), `number`, `reference`, `draft` (wrong, never retry), `unavailable`
    (the log cannot write: refuse the action), `full` (too much is waiting: retry later).
    """

    code: str
    message: str
    state: int = 0


class Answer(msgspec.Struct, frozen=True):
    """What became of a batch: a receipt for each sealed draft from the first on, then why the next one was not."""

    receipts: tuple[Receipt, ...]
    refusal: Refusal | None = None


class Sink(Protocol):
    """Takes batches. `done` is called exactly once for each, from a thread of the sink's own; it must not block."""

    def submit(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        """Queue `batch`. Never raises for what the batch holds: `done` tells."""
