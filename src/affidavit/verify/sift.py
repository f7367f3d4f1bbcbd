"""The sieve: tells, from the bytes of one bundle alone, which records the exact checks would have nothing to say about.

Most records of a log are plain: an access whose header is strict, whose body is the one that the header names and
agrees with it. What that takes is the bulk of a verification, needs nothing but the record's own bytes, and so may be
done for many bundles at a time, in other processes too. The sieve never reports a finding. A record that it does not
pass, for whatever reason, is left to the exact checks, which are the only ones that judge; a record that it passes is
described by what the order-dependent checks look at: its *shape* (the header without what is unique to it) and its
*case* (the part of the body that they look at, as canonical JSON). Equal shapes and cases give equal results, so they
are judged once.

What passes must be exactly what would pass `decode_header`, `BodyStore.open` and `check_agreement` without a word:
each shape is given to `decode_header` once, each case comes out of `decode_body`; shortcuts between are by equal bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import UNSET, Raw, UnsetType

from affidavit import canonical
from affidavit.errors import AffidavitError
from affidavit.limits import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    INTEGER_MAX,
    SLOT_BYTES_MAX,
    TAGS_MAX,
    VERIFY_SIEVE_MEMORY_MAX,
    VERIFY_SIEVE_PART_BYTES_MAX,
)
from affidavit.record.body import ENCRYPTED, SALT_CHARS, BodyKey, decode_body
from affidavit.record.header import Header, Log, Source, Time, decode_header
from affidavit.record.keyed import KeyedHash
from affidavit.record.moment import parse_moment
from affidavit.verify.agreement import disagreements

#: Kinds that change nothing which the checks of other records of these kinds rest on, but for intents and counters.
QUIET_KINDS = frozenset({"access", "access.intent", "access.outcome", "transaction", "presented"})
#: Stands for a record that the sieve does not pass, and for content that cannot be read.
LEFT = UNREAD = -1

_ZERO_NONCE = bytes(12)
_HEX = b"0123456789abcdef"
_ID_CHARS, _MOMENT_CHARS = 36, 30


class Shape(msgspec.Struct, frozen=True, array_like=True):
    """A header without its id, number, moments, tags, `ref` and digest."""

    kind: str
    stream: str
    clock: int | None
    state: int
    basis: str
    guarantee: str | None
    decided: int | None
    actor: str | None
    session: int | None
    system: str | None
    action: str | None
    decision: str | None
    outcome: str | None
    context: int | None

    def header(self, at: str) -> Header:
        """A header of this shape, of a record made and sealed at `at`, for checks that look at the shape alone."""
        return Header(
            v=1,
            id="",
            kind=self.kind,
            source=Source(self.stream, 0),
            time=Time(at, self.clock),
            log=Log(at, self.state),
            basis=self.basis,
            guarantee=self.guarantee,
            decided=self.decided,
            actor=self.actor,
            session=self.session,
            system=self.system,
            action=self.action,
            decision=self.decision,
            outcome=self.outcome,
            context=self.context,
        )


class Task(msgspec.Struct, frozen=True, array_like=True):
    """The entries of a bundle and their slots; no slots where the archive has no bodies."""

    entries: list[bytes]
    slots: list[bytes] | None


class Sifted(msgspec.Struct, array_like=True):
    """What became of a bundle, a value for each of its records. `shape_of` and `case_of` number `shapes` and `cases`;
    `ids` are 16 bytes each; what belongs to a record that was left means nothing."""

    shapes: list[Shape]
    shape_of: list[int]
    cases: list[bytes]
    case_of: list[int]
    ids: bytes
    seqs: list[int]
    refs: list[int]
    sealed: list[str]
    made: list[str]


class _Body(msgspec.Struct):
    """An access, an intent or an outcome, one level deep."""

    salt: str
    action: Raw | UnsetType = UNSET
    actor: Raw | UnsetType = UNSET
    authorization: Raw | UnsetType = UNSET
    client: Raw | UnsetType = UNSET
    data_subjects: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET


class _Action(msgspec.Struct, rename={"kind": "class"}):
    """What an access did. The members that no check looks at are there to be encoded again."""

    bytes: Any = UNSET
    kind: Any = UNSET
    columns: Raw | UnsetType = UNSET
    form: Any = UNSET
    parameters: Any = UNSET
    parameters_count: Any = UNSET
    parameters_form: Any = UNSET
    parsed: Any = UNSET
    prepared: Any = UNSET
    protocol: Any = UNSET
    statement: Any = UNSET
    tables: Raw | UnsetType = UNSET
    verb: Any = UNSET
    why: Any = UNSET


class _Result(msgspec.Struct):
    """What came of an access."""

    bytes: Any = UNSET
    digest: Any = UNSET
    duration_ns: Any = UNSET
    outcome: Any = UNSET
    rows: Any = UNSET
    sqlstate: Any = UNSET
    tag: Any = UNSET
    transaction: Any = UNSET


def _no_float(text: str) -> Any:
    raise ValueError(f"the number {text} is not an integer")


_encode = msgspec.json.Encoder(order="sorted").encode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_body = msgspec.json.Decoder(_Body, float_hook=_no_float).decode
_decode_action = msgspec.json.Decoder(_Action, float_hook=_no_float).decode
_decode_result = msgspec.json.Decoder(_Result, float_hook=_no_float).decode


class Sieve:
    """Sifts bundles under the keys that open bodies, by key id. What it remembers is bounded, and changes no result."""

    def __init__(self, keys: Mapping[bytes, BodyKey]) -> None:
        self._keys = {name: KeyedHash(key.key).digest for name, key in keys.items()}
        self._shapes: dict[tuple[Any, ...], Shape | None] = {}
        self._parts: dict[bytes, None] = {}
        self._cases: dict[tuple[Any, ...], bytes] = {}
        self._agreed: dict[tuple[Shape, bytes], bool] = {}
        self._seconds: dict[str, None] = {}

    def sift(self, task: Task) -> Sifted:
        """What became of each record of a bundle. Never raises for what the bytes hold."""
        headers = _strict_headers(task.entries)
        shapes = [
            None if header is None else self._shape(header, task.entries[at]) for at, header in enumerate(headers)
        ]
        quiet = [
            header for header, shape in zip(headers, shapes, strict=True) if header is not None and shape is not None
        ]
        if not self._each_holds(quiet):
            shapes = [
                shape if shape is not None and header is not None and self._each_holds([header]) else None
                for header, shape in zip(headers, shapes, strict=True)
            ]
        sifted = Sifted([], [], [], [], b"", [], [], [], [])
        numbers: dict[Shape, int] = {}
        cases: dict[bytes, int] = {}
        ids: list[str] = []
        for at, (header, shape) in enumerate(zip(headers, shapes, strict=True)):
            case: bytes | None = b""
            if shape is not None and header is not None:
                case = None if task.slots is None else self._case(shape, header, task.slots[at])
            if shape is None or header is None or case == b"":
                _leave(sifted, ids)
                continue
            sifted.shape_of.append(numbers.setdefault(shape, len(numbers)))
            sifted.case_of.append(UNREAD if case is None else cases.setdefault(case, len(cases)))
            ids.append(header.id)
            sifted.seqs.append(header.source.seq)
            sifted.refs.append(LEFT if header.ref is None else header.ref)
            sifted.sealed.append(header.log.at)
            sifted.made.append(header.time.at)
        sifted.shapes, sifted.cases = list(numbers), list(cases)
        sifted.ids = bytes.fromhex("".join(ids).replace("-", ""))
        return sifted

    def _shape(self, header: Header | None, entry: bytes) -> Shape | None:
        """The header's shape, where it is a quiet one and strict."""
        if header is None or header.kind not in QUIET_KINDS:
            return None
        values = (
            header.kind, header.source.stream, header.time.clock, header.log.state, header.basis, header.guarantee,
            header.decided, header.actor, header.session, header.system, header.action, header.decision,
            header.outcome, header.context, header.v, header.ref is None, header.root is None, header.body is None,
        )  # fmt: skip
        try:
            return self._shapes[values]
        except KeyError:
            pass
        shape = None
        if header.root is None and header.body is not None:
            try:
                decode_header(entry)
                shape = Shape(*values[:14])
            except AffidavitError:
                return None  # the entry's own fault perhaps, not its shape's
        _remember(self._shapes, values, shape)
        return shape

    def _each_holds(self, headers: Sequence[Header]) -> bool:
        """Whether what is unique to each of these headers is as a header has it. (Their shapes are.)"""
        if not headers:
            return True
        ids = "".join([header.id for header in headers]).encode()
        bodies = "".join([header.body or "" for header in headers]).encode()
        numbers = [header.source.seq for header in headers] + [header.ref or 0 for header in headers]
        moments = [header.log.at for header in headers] + [header.time.at for header in headers]
        tags = [tag for header in headers for tag in header.tags]
        return (
            _are_ids(ids, [header.id for header in headers])
            and {len(header.body or "") for header in headers} == {64}
            and not bodies.translate(None, _HEX)
            and min(numbers) >= 0
            and max(numbers) <= INTEGER_MAX
            and self._are_moments(moments)
            and not "".join(tags).encode().translate(None, _HEX)
            and not {len(tag) for tag in tags} - {8}
            and all(_are_sorted(header.tags) for header in headers if len(header.tags) > 1)
        )

    def _are_moments(self, texts: Sequence[str]) -> bool:
        """As `parse_moment` takes them; the whole seconds are remembered, as records of one second are many."""
        if {len(text) for text in texts} != {_MOMENT_CHARS} or not "".join([text[20:29] for text in texts]).isdigit():
            return False
        if {text[29] for text in texts} != {"Z"}:
            return False
        for second in {text[:20] for text in texts}:
            if second not in self._seconds:
                try:
                    parse_moment(f"{second}000000000Z")
                except AffidavitError:
                    return False
                _remember(self._seconds, second, None)
        return True

    def _case(self, shape: Shape, header: Header, slot: bytes) -> bytes | None:
        """The record's case; None where no key was given that opens the body; empty where the record is left."""
        if not 5 <= len(slot) <= SLOT_BYTES_MAX or slot[0] != ENCRYPTED:
            return b""
        secret = self._keys.get(slot[1:5])
        if secret is None:
            return None
        digest = header.body or ""
        try:
            plain = AESGCM(secret(bytes.fromhex(digest))).decrypt(_ZERO_NONCE, slot[5:], slot[:5])
        except InvalidTag:
            return b""
        if hashlib.sha256(plain).hexdigest() != digest:
            return b""
        try:
            case = self._case_of(plain) or _encode(reduced(decode_body(plain)))
        except AffidavitError:
            return b""
        agreed = self._agreed.get((shape, case))
        if agreed is None:
            agreed = next(disagreements(0, header, msgspec.json.decode(case)), None) is None
            if shape.kind != "transaction":
                _remember(self._agreed, (shape, case), agreed)
        return case if agreed else b""

    def _case_of(self, plain: bytes) -> bytes | None:
        """The case of a body of the usual members, by the bytes of its parts; None where it takes a closer look."""
        if not plain.isascii() or len(plain) > BODY_BYTES_MAX:
            return None
        try:
            body = _decode_body(plain)
            if _encode(body) != plain or len(body.salt) != SALT_CHARS:
                return None
            action, result = self._action(body.action), self._result(body.result)
            parts = (self._part(body.actor), self._part(body.authorization), self._part(body.client))
            self._part(body.data_subjects)
            key = (action, result, parts)
            case = self._cases.get(key)
        except (*canonical.UNREADABLE, ValueError, TypeError, AffidavitError):
            return None
        if case is None:
            case = _encode(reduced(decode_body(plain)))
            _remember(self._cases, key, case)
        return case

    def _part(self, raw: Raw | UnsetType) -> bytes | None:
        """The bytes of a member, once they are known to be canonical there. Raises `AffidavitError`."""
        if isinstance(raw, UnsetType):
            return None
        data = bytes(raw)
        if data not in self._parts:
            canonical.decode(b'{"part":{"part":%b}}' % data)  # as deep as any member stands
            if len(data) <= VERIFY_SIEVE_PART_BYTES_MAX:
                _remember(self._parts, data, None)
        return data

    def _action(self, raw: Raw | UnsetType) -> tuple[Any, ...] | None:
        """What the checks look at in an action. Raises `ValueError` where its bytes take a closer look."""
        if isinstance(raw, UnsetType):
            return None
        data = bytes(raw)
        action: _Action = _decode_action(data)
        _check_bytes(data, action)
        self._part(action.columns)
        count = action.parameters_count
        return (
            action.kind,
            action.form,
            action.parsed,
            type(action.parsed),
            bool(count) and count is not UNSET,
            action.parameters_form,
            self._part(action.tables),
            action.verb,
            type(action.verb),
        )

    def _result(self, raw: Raw | UnsetType) -> tuple[Any, ...] | None:
        """As `_action`, for a result."""
        if isinstance(raw, UnsetType):
            return None
        data = bytes(raw)
        result: _Result = _decode_result(data)
        _check_bytes(data, result)
        return result.outcome, result.digest is None or result.digest is UNSET, isinstance(result.rows, int)


def reduced(content: Mapping[str, Any]) -> dict[str, Any]:
    """What `check_agreement`, `Decisions`, `check_capture` and `References` look at in the body of a quiet record.

    Whoever lets them look at more adds it here, and to the keys above: tests/properties compares the verdicts.
    """
    kept: dict[str, Any] = {}
    for name in ("authorization", "end", "accesses"):
        if name in content:
            kept[name] = content[name]
    for name in ("client", "transaction"):
        if content.get(name) is not None:
            kept[name] = 0
    if "actor" in content:
        actor = content["actor"]
        kept["actor"] = {"id": actor.get("id")} if isinstance(actor, dict) else actor
    if "action" in content:
        kept["action"] = _reduced_part(content["action"], _ACTION)
    if "result" in content:
        kept["result"] = _reduced_part(content["result"], _RESULT)
    return kept


_same: Callable[[Any], Any] = lambda value: value  # noqa: E731
_ACTION: dict[str, Callable[[Any], Any]] = {
    "class": _same,
    "form": _same,
    "parsed": _same,
    "parameters_count": bool,
    "parameters_form": _same,
    "tables": _same,
    "verb": _same,
}
_RESULT: dict[str, Callable[[Any], Any]] = {
    "outcome": _same,
    "captured": lambda value: [0] * len(value) if isinstance(value, list) else value,
    "digest": lambda value: None if value is None else "",
    "rows": lambda value: 0 if isinstance(value, int) else value,
}


def _reduced_part(part: Any, members: Mapping[str, Callable[[Any], Any]]) -> Any:
    if not isinstance(part, dict):
        return part
    return {name: reduce(part[name]) for name, reduce in members.items() if name in part}


def _strict_headers(entries: Sequence[bytes]) -> list[Header | None]:
    """The headers in these entries; None for one whose bytes are not what they decode to, or take a closer look."""
    if len(entries) > 1:
        try:
            headers = list(map(_decode_header, entries))
            if all(map(bytes.isascii, entries)) and list(map(_encode, headers)) == list(entries):
                return list(headers) if max(map(len, entries)) <= HEADER_BYTES_MAX else [None] * len(entries)
        except (*canonical.UNREADABLE, ValueError):
            pass
        return [_strict_headers([entry])[0] for entry in entries]
    try:
        header = _decode_header(entries[0])
        strict = entries[0].isascii() and len(entries[0]) <= HEADER_BYTES_MAX and _encode(header) == entries[0]
    except (*canonical.UNREADABLE, ValueError):
        strict = False
    return [header if strict else None]


def _are_ids(joined: bytes, ids: Sequence[str]) -> bool:
    """Whether these texts are UUIDv7, looked at column by column."""
    return (
        {len(text) for text in ids} == {_ID_CHARS}
        and not any(joined[at::_ID_CHARS].strip(b"-") for at in (8, 13, 18, 23))
        and not joined[14::_ID_CHARS].strip(b"7")
        and not joined[19::_ID_CHARS].strip(b"89ab")
        and joined.translate(None, _HEX) == b"-" * 4 * len(ids)
    )


def _are_sorted(tags: tuple[str, ...]) -> bool:
    return len(tags) <= TAGS_MAX and list(tags) == sorted(set(tags))


def _check_bytes(data: bytes, value: msgspec.Struct) -> None:
    """Raise `ValueError` unless `value`, encoded, is `data`, and the parts of it that have no type lie in the domain:
    what has no long number and so few brackets does."""
    if _encode(value) != data or not canonical.shows_domain(data):
        raise ValueError


def _leave(sifted: Sifted, ids: list[str]) -> None:
    sifted.shape_of.append(LEFT)
    sifted.case_of.append(UNREAD)
    ids.append("0" * 32)
    sifted.seqs.append(0)
    sifted.refs.append(LEFT)
    sifted.sealed.append("")
    sifted.made.append("")


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memory) >= VERIFY_SIEVE_MEMORY_MAX:
        memory.clear()  # what is used often comes back at once
    memory[key] = value
