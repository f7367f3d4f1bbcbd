"""The header: the log entry, the Merkle leaf. Small canonical JSON that is never erased, so it holds no content.

Reading is strict: bytes are accepted only if they are the canonical encoding of what they decode to. Unknown fields
and unknown kinds are kept, because a parsed record keeps its bytes.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from affidavit import canonical
from affidavit.errors import InvalidInput
from affidavit.limits import HEADER_BYTES_MAX, ID_CHARS_MAX, TAGS_MAX
from affidavit.record.ids import is_uuid7
from affidavit.record.kinds import ACTIONS, BASES, DECISIONS, GUARANTEES, KINDS, OUTCOMES
from affidavit.record.moment import parse_moment

FORMAT = 1


class Source(msgspec.Struct, frozen=True):
    """One incarnation of a producer (`stream`, 32 hex digits) and its own counter from 0."""

    stream: str
    seq: int


class Time(msgspec.Struct, frozen=True, omit_defaults=True):
    """The producer's time, and the index of the `clock` record that bounds it (absent: unbounded)."""

    at: str
    clock: int | None = None


class Log(msgspec.Struct, frozen=True):
    """The sequencer's time, never decreasing, and the index after the last record that changed state (0: none)."""

    at: str
    state: int


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of DESIGN §2, by their names. Digests and roots are lower-case hex."""

    v: int
    id: str
    kind: str
    source: Source
    time: Time
    log: Log
    basis: str
    guarantee: str | None = None
    decided: int | None = None
    actor: str | None = None
    session: int | None = None
    system: str | None = None
    action: str | None = None
    decision: str | None = None
    outcome: str | None = None
    context: int | None = None
    ref: int | None = None
    tags: tuple[str, ...] = ()
    tags_overflow: bool = False
    root: str | None = None
    body: str | None = None


_decoder = msgspec.json.Decoder(Header)
_STREAM = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(r"[0-9a-f]{8}")
_CLOSED: tuple[tuple[str, frozenset[str]], ...] = (
    ("guarantee", GUARANTEES),
    ("decision", DECISIONS),
    ("outcome", OUTCOMES),
    ("action", ACTIONS),
)


def encode_header(header: Header) -> bytes:
    """The entry's bytes. `header` is one we built; its values lie in the canonical domain."""
    return canonical.encode_trusted(header)


def decode_header(data: bytes) -> Header:
    """The header in `data`, after every check that one header alone allows.

    Raises `InvalidInput` naming the field. Kinds that we do not know pass with what all kinds share.
    """
    if len(data) > HEADER_BYTES_MAX:
        raise InvalidInput("header.size", f"A header of {len(data)} bytes is above {HEADER_BYTES_MAX}.")
    canonical.decode(data)
    try:
        header = _decoder.decode(data)
    except canonical.UNREADABLE as error:
        raise InvalidInput("header.field", f"The header is not as the specification says: {error}") from None
    check_header(header)
    return header


def check_header(header: Header) -> None:
    """Raise `InvalidInput` unless each field's value is one that the field may have, and the kind's needs are met."""
    if header.v != FORMAT:
        raise _bad("v", header.v)
    if not is_uuid7(header.id):
        raise _bad("id", header.id)
    if not _STREAM.fullmatch(header.source.stream) or header.source.seq < 0:
        raise _bad("source", header.source)
    parse_moment(header.time.at)
    parse_moment(header.log.at)
    if header.basis not in BASES:
        raise _bad("basis", header.basis)
    for name, allowed in _CLOSED:
        value = getattr(header, name)
        if value is not None and value not in allowed:
            raise _bad(name, value)
    for name in ("session", "context", "ref", "decided"):
        value = getattr(header, name)
        if value is not None and value < 0:
            raise _bad(name, value)
    for name in ("actor", "system"):
        value = getattr(header, name)
        if value is not None and not 0 < len(value) <= ID_CHARS_MAX:
            raise _bad(name, value)
    for name in ("root", "body"):
        value = getattr(header, name)
        if value is not None and not _DIGEST.fullmatch(value):
            raise _bad(name, value)
    _check_tags(header.tags)
    _check_kind(header)


def _check_tags(tags: tuple[str, ...]) -> None:
    if len(tags) > TAGS_MAX or list(tags) != sorted(set(tags)) or not all(map(_TAG.fullmatch, tags)):
        raise _bad("tags", tags)


def _check_kind(header: Header) -> None:
    rule = KINDS.get(header.kind)
    if rule is None:
        return
    for name in rule.needs:
        if getattr(header, name) is None:
            raise InvalidInput("header.needs", f"A {header.kind} record needs the field {name}.")
    if header.root is not None and not rule.state:
        raise InvalidInput("header.root", f"A {header.kind} record does not change state, so it has no root.")
    if header.ref is not None and not rule.ref:
        raise InvalidInput("header.ref", f"A {header.kind} record refers to nothing by ref.")


def _bad(field: str, value: Any) -> InvalidInput:
    return InvalidInput("header.field", f"The header field {field} cannot be {str(value)[:80]!r}.")
