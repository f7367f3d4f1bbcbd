"""Makes whole logs for tests, on paper: records by hand-made rules, every hash, signature and file as the formats say.

It shares the formats and the state rules with the product, but not the ledger: so a test can also write what no ledger
would. `Paper` seals one record after another, `afternoon` plays a small clinic, `write_log` turns records into a data
folder, and the rewriting functions at the end are the tools of a thief who holds the log's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affidavit import canonical
from affidavit.record.body import BodyKey, BodySealer, decode_body, encode_body, erased_slot
from affidavit.record.frame import encode_bundle, encode_frame, segment_header, segment_name
from affidavit.record.header import Header, Log, Source, Time, encode_header
from affidavit.record.ids import uuid7
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.moment import format_moment
from affidavit.state.change import Delete, Op, Put, decode_ops, encode_ops, salt_bytes
from affidavit.state.changing import decide_change, genesis_ops, strongest
from affidavit.state.context import build_context
from affidavit.state.deciding import Decider, Request
from affidavit.state.fold import State
from affidavit.state.hidden import encode_hidden, hide
from affidavit.state.logadmin import decide_log_admin
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.tiles import encode_entries, entries_path

ORIGIN = "log.example/clinic"
SIGNER = SignerKey(ORIGIN, bytes(range(32)))
BODY_KEY = BodyKey(bytes(range(32, 64)))
T0_NS = 1_795_356_000_000_000_000
BOOT = "b0" * 16
LEDGER, GATEWAY, DESK = "0a" * 16, "0b" * 16, "0c" * 16
ALICE, CAROL, BOB = "u-" + "a" * 16, "u-" + "c" * 16, "u-" + "b" * 16
SYSTEM = "clinic"
VISITS, PATIENTS = ("public", "visits"), ("public", "patients")


@dataclass(frozen=True)
class Rec:
    """A record on paper: its header, whose `body` is filled in when it is written, and its plaintext. `slot` stands in
    the place of its body, where that was erased."""

    header: Header
    plain: bytes | None
    slot: bytes | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The body with its salt."""
        assert self.plain is not None
        return decode_body(self.plain)


@dataclass
class Paper:
    """Seals records one second apart, as the specification says and nothing else does."""

    records: list[Rec] = field(default_factory=list)
    state: State = field(default_factory=State)
    _seq: dict[str, int] = field(default_factory=dict)
    _clock: int | None = None
    _salts: int = 0

    def salt(self) -> bytes:
        """Sixteen bytes that were not given before."""
        self._salts += 1
        return hashlib.sha256(b"salt %d" % self._salts).digest()[:16]

    def salt_text(self) -> str:
        """As `salt`, as it stands in a put."""
        return canonical_salt(self.salt())

    @property
    def now_ns(self) -> int:
        """The time of the next record."""
        return T0_NS + len(self.records) * 1_000_000_000

    def add(self, kind: str, stream: str, content: dict[str, Any] | None, **fields: Any) -> int:
        """Append a record; its index."""
        index, at = len(self.records), format_moment(self.now_ns)
        seq = self._seq[stream] = self._seq.get(stream, -1) + 1
        header = Header(
            v=1,
            id=uuid7(self.now_ns, hashlib.sha256(b"id %d" % index).digest()),
            kind=kind,
            source=Source(stream, seq),
            time=Time(at, self._clock),
            log=Log(at, self.state.index),
            basis="observed",
            **fields,
        )
        plain = None if content is None else encode_body(content, self.salt())
        if kind in STATE_KINDS:
            assert content is not None
            self.state.apply(decode_ops(content["objects"]), index)
            header = with_fields(header, root=self.state.root)
        self.records.append(Rec(header, plain))
        if kind == "clock":
            self._clock = index
        return index

    def put(self, name: str, value: dict[str, Any]) -> Put:
        """A put based on what the state holds."""
        held = self.state.get(name)
        return Put(name, None if held is None else held.version, value, self.salt_text())

    def delete(self, name: str) -> Delete:
        """A delete based on what the state holds."""
        held = self.state.get(name)
        assert held is not None
        return Delete(name, held.version)

    # -- the log itself and its administration ---------------------------------------------------------------------

    def genesis(self) -> None:
        """Records 0 to 2: alice is the administrator."""
        ops = genesis_ops(
            administrator=ALICE,
            handle="alice",
            name="Alice",
            mail="alice@example.org",
            host="desk",
            uid=1000,
            salt=self.salt_text,
        )
        opening = {"reason": "genesis", "origin": ORIGIN, "key": SIGNER.verifier.to_text(), "administrator": ALICE}
        self.add("log.open", LEDGER, {**opening, "software": {"name": "paper", "version": "1"}})
        self.clock("start")
        content = {"objects": encode_ops(ops), "reason": "genesis", "approvals": [], "authorization": None}
        via = {"method": "genesis", "credential": "", "file_access": True}
        fields = {"actor": ALICE, "action": strongest(ops), "decision": "allow", "decided": 0}
        self.add("change", LEDGER, {**content, "via": via}, **fields)

    def clock(self, reason: str) -> int:
        """A clock record of the only boot."""
        content = {"source": "kernel", "synchronized": True, "offset_ns": "0", "bound_ns": "1000000", "boot": BOOT}
        return self.add("clock", LEDGER, {**content, "monotonic_ns": "1", "reason": reason})

    def change(
        self, ops: Sequence[Op], actor: str = ALICE, approvals: Sequence[tuple[int, str]] = (), **fields: Any
    ) -> int:
        """A change by policy; `approvals` are (index, approver)."""
        decided = decide_change(self.state, ops, actor, [approver for _, approver in approvals], self.now_ns)
        assert decided.decision == "allow", decided
        content = self._administration(ops, actor, decided.block())
        content["approvals"] = [{"approval": at, "approver": who} for at, who in approvals]
        return self.add("change", DESK, content, **self._decided(ops, actor, "allow"), **fields)

    def proposal(self, ops: Sequence[Op], actor: str = ALICE) -> int:
        """A change that policy lets nobody make alone."""
        decided = decide_change(self.state, ops, actor, (), self.now_ns)
        content = self._administration(ops, actor, decided.block())
        return self.add("proposal", DESK, content, **self._decided(ops, actor, decided.decision))

    def approval(self, proposal: int, ops: Sequence[Op], actor: str) -> int:
        """An approval of a proposal that held `ops`."""
        decided = decide_change(self.state, ops, actor, (), self.now_ns, approving=True)
        assert decided.decision == "allow", decided
        content = self._administration(ops, actor, decided.block())
        content = {name: value for name, value in content.items() if name not in ("objects", "approvals")}
        fields = self._decided(ops, actor, "allow")
        return self.add("approval", DESK, {**content, "proposal": proposal}, ref=proposal, **fields)

    def _administration(self, ops: Sequence[Op], actor: str, block: dict[str, Any]) -> dict[str, Any]:
        credential = {ALICE: "uid-desk-1000", CAROL: "uid-desk-1001"}[actor]
        via = {"method": "uid", "credential": credential, "file_access": False}
        return {"objects": encode_ops(ops), "reason": "test", "authorization": block, "approvals": [], "via": via}

    def _decided(self, ops: Sequence[Op], actor: str, decision: str) -> dict[str, Any]:
        return {"actor": actor, "action": strongest(ops), "decision": decision, "decided": self.state.index}

    def erase(self, index: int, actor: str = ALICE) -> int:
        """An erase record for the record at `index`, whose body is a stub from now on."""
        by = self.erase_record(index, actor)
        self.records[index] = replace(self.records[index], slot=stub_of(self.records[index], by))
        return by

    def erase_record(self, index: int, actor: str = ALICE) -> int:
        """An erase record, as policy decides it, and nothing else."""
        record = self.records[index]
        at = self.now_ns
        decided = decide_log_admin(self.state, actor, at)
        credential = {ALICE: "uid-desk-1000", CAROL: "uid-desk-1001"}[actor]
        content = {
            "reason": "test",
            "record": {"kind": record.header.kind, "actor": record.header.actor, "body": digest_of(record)},
            "authorization": decided.block(),
            "decided_at": format_moment(at),
            "via": {"method": "uid", "credential": credential, "file_access": False},
        }
        fields = {"actor": actor, "action": "admin", "decision": decided.decision, "decided": self.state.index}
        fields |= {} if decided.allowed else {"outcome": "none"}
        return self.add("erase", LEDGER, content, ref=index, **fields)

    # -- a gateway -------------------------------------------------------------------------------------------------

    def _decider(self, actor: str) -> Decider:
        return Decider(build_context(self.state, actor, SYSTEM), self.state)

    def _settings(self, actor: str) -> list[dict[str, Any]]:
        settings: list[dict[str, Any]] = build_context(self.state, actor, SYSTEM)["settings"]
        return settings

    def context(self, actor: str = BOB) -> int:
        """A context record as the state gives it now."""
        content = build_context(self.state, actor, SYSTEM)
        return self.add("context", GATEWAY, content, actor=actor, system=SYSTEM, decided=self.state.index)

    def open_session(self, actor: str = BOB) -> int:
        """A login that policy allows."""
        block = self._decider(actor).decide((Request("login", "System", SYSTEM),), {}, self.now_ns).block()
        assert block["decision"] == "allow", block
        content = {
            "actor": who(actor),
            "client": CLIENT,
            "authorization": block,
            "upstream": {},
            "settings": self._settings(actor),
        }
        fields = {"action": "login", "decision": "allow", "outcome": "ok", "decided": self.state.index}
        return self.add("session.open", GATEWAY, content, actor=actor, system=SYSTEM, **fields)

    def close_session(self, session: int, accesses: int, actor: str = BOB) -> int:
        """The end of a session."""
        content = {"reason": "client", "accesses": accesses, "sent": 1, "received": 1}
        fields = {"actor": actor, "session": session, "system": SYSTEM, "outcome": "ok"}
        return self.add("session.close", GATEWAY, content, **fields)

    def access(
        self, session: int, context: int, table: tuple[str, str] = VISITS, actor: str = BOB, **fields: Any
    ) -> int:
        """A read of one table, allowed or denied as the state has it."""
        content, header = self._asked(table, "read", actor)
        outcome = "ok" if header["decision"] == "allow" else "none"
        result = {"outcome": outcome, "rows": 3 if outcome == "ok" else 0, "bytes": 30, "duration_ns": "1000"}
        content["result"] = result
        header |= {"outcome": outcome, "guarantee": "before_answer", **fields}
        return self.add("access", GATEWAY, content, session=session, context=context, **header)

    def intent(self, session: int, context: int, table: tuple[str, str] = VISITS, actor: str = BOB) -> int:
        """A write that is about to be forwarded."""
        content, header = self._asked(table, "write", actor)
        header["guarantee"] = "before_action"
        return self.add("access.intent", GATEWAY, content, session=session, context=context, **header)

    def outcome(self, session: int, intent: int, actor: str = BOB) -> int:
        """How a write ended."""
        content = {"result": {"outcome": "ok", "rows": 1, "bytes": 0, "duration_ns": "1000"}}
        fields = {"actor": actor, "system": SYSTEM, "outcome": "ok", "session": session}
        return self.add("access.outcome", GATEWAY, content, ref=intent, **fields)

    def _asked(self, table: tuple[str, str], action: str, actor: str) -> tuple[dict[str, Any], dict[str, Any]]:
        schema, name = table
        requests = (Request(action, "Table", f"{SYSTEM}/{schema}.{name}"),)
        block = self._decider(actor).decide(requests, {"verb": "SELECT"}, self.now_ns).block()
        statement = f"SELECT note FROM {name}"
        part = {"class": action, "verb": "SELECT", "statement": statement, "form": "full", "bytes": len(statement)}
        part |= {"parameters_form": "full", "parameters_count": 0, "columns": ["note"], "parsed": True}
        part |= {"tables": [{"schema": schema, "name": name, "action": action}], "protocol": "simple"}
        content = {"actor": who(actor), "client": CLIENT, "action": part, "authorization": block}
        fields = {"actor": actor, "system": SYSTEM, "action": action, "decision": block["decision"]}
        return content, {**fields, "decided": self.state.index}


CLIENT = {"address": "192.0.2.7", "application": "psql", "tls": None}
_TWO = """forbid(principal, action == Action::"grant", resource in ObjectKind::"grant")
unless { (context has approvals && context.approvals >= 1) || (context has approving && context.approving) };"""
_LOGIN = 'permit(principal in Group::"analysts", action == Action::"login", resource == System::"clinic");'


def who(actor: str) -> dict[str, Any]:
    """The `actor` part of a body."""
    return {"id": actor, "kind": "human", "name": "Somebody", "issuer": "log", "sub": actor}


def grant_value(table: tuple[str, str], *actions: str) -> dict[str, Any]:
    """A grant on one table without an end."""
    resource = {"type": "Table", "id": f"{SYSTEM}/{table[0]}.{table[1]}"}
    moment = format_moment(T0_NS)
    value = {"actions": sorted(actions), "resource": resource, "start": moment, "end": None}
    return {**value, "reason": "test", "ticket": ""}


@dataclass
class Afternoon:
    """What happened, by index, for tests that point at it."""

    paper: Paper
    people: int
    grant: int | None
    proposal: int
    approval: int
    session: int
    first_access: int
    denied: int
    intent: int
    settings: int
    last_context: int
    closed: int


def afternoon(accesses: int = 20, *, grant_patients: bool = True, on: Paper | None = None) -> Afternoon:
    """A small clinic: two administrators, one analyst, a grant that two people make, settings, reads and a write.

    Played on a new sheet of paper, or `on` one that has its genesis.
    """
    paper = on or Paper()
    if on is None:
        paper.genesis()
    people = paper.change(
        [
            *_person(paper, CAROL, "carol"),
            paper.put("credential/uid-desk-1001", {"identity": CAROL, "type": "uid", "label": "carol at the desk"}),
            paper.put(f"membership/{CAROL}/administrators", {}),
            *_person(paper, BOB, "bob"),
            paper.put("group/analysts", {"description": "Read what they are granted"}),
            paper.put(f"membership/{BOB}/analysts", {}),
            paper.put("system/clinic", {"kind": "postgresql", "description": "", "key_columns": []}),
            paper.put("policy/login", {"text": _LOGIN}),
        ]
    )
    paper.change([paper.put(f"grant/{BOB}/visits", grant_value(VISITS, "read", "write"))])
    paper.change([paper.put("policy/two", {"text": _TWO})])
    session = paper.open_session()
    context = paper.context()
    first = paper.access(session, context)
    count = 2 + accesses
    for _ in range(accesses):
        paper.access(session, context)
    denied = paper.access(session, context, PATIENTS)
    ops = [paper.put(f"grant/{BOB}/patients", grant_value(PATIENTS, "read"))]
    proposal = paper.proposal(ops)
    approval = paper.approval(proposal, ops, CAROL)
    grant = paper.change(ops, approvals=[(approval, CAROL)], ref=proposal) if grant_patients else None
    context = paper.context()
    paper.access(session, context, PATIENTS)
    values = [{"name": "capture.result", "value": "count"}]
    settings = paper.change([paper.put(f"settings/user/{BOB}", {"values": values})])
    context = paper.context()
    intent = paper.intent(session, context)
    paper.outcome(session, intent)
    paper.access(session, context, PATIENTS)
    closed = paper.close_session(session, count + 3)
    if on is None:
        paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    return Afternoon(
        paper, people, grant, proposal, approval, session, first, denied, intent, settings, context, closed
    )


def _person(paper: Paper, identity: str, handle: str) -> list[Op]:
    return [
        paper.put(f"identity/{identity}", {"kind": "human", "status": "active", "attributes": []}),
        paper.put(f"profile/{identity}", {"handle": handle, "name": handle.title(), "mail": ""}),
    ]


def canonical_salt(salt: bytes) -> str:
    """A salt as text, and certain to be read back."""
    from affidavit.record.body import salt_text

    text = salt_text(salt)
    assert salt_bytes(text) == salt
    return text


# -- writing -----------------------------------------------------------------------------------------------------------


def stored(records: Sequence[Rec]) -> list[tuple[bytes, bytes]]:
    """Header bytes and slot of each record."""
    sealer = BodySealer(BODY_KEY)
    pairs = []
    for record in records:
        if record.plain is None:
            pairs.append((encode_header(with_fields(record.header, body=None)), b""))
        else:
            digest = hashlib.sha256(record.plain).digest()
            header = with_fields(record.header, body=digest.hex())
            slot = sealer.seal(record.plain, digest) if record.slot is None else record.slot
            pairs.append((encode_header(header), slot))
    return pairs


def digest_of(record: Rec) -> str:
    """The digest of a record's body, hex."""
    assert record.plain is not None
    return hashlib.sha256(record.plain).hexdigest()


def stub_of(record: Rec, by: int) -> bytes:
    """The slot of a record that the record `by` erased."""
    changes = record.header.kind in STATE_KINDS
    return erased_slot(by, encode_hidden(hide(decode_ops(record.content["objects"]))) if changes else b"")


def write_log(
    root: Path, records: Sequence[Rec], published: Sequence[int] = (), *, frame_records: int = 7, journal_end: int = -1
) -> list[bytes]:
    """Write `DIR` as a ledger would that published at the sizes `published` and then at the end.

    Returns the checkpoints of all publications. `journal_end` records stand in the journal (all, if negative).
    """
    pairs = stored(records)
    end = len(pairs) if journal_end < 0 else journal_end
    sizes = [*published, len(pairs)] if journal_end < 0 else list(published)
    tree, old, notes = Tree(), 0, []
    for size in sizes:
        tree.append_leaf_hashes([leaf_hash(header) for header, _ in pairs[old:size]])
        for tile in tree.tiles(old):
            _write(root / "log" / tile.path, tile.data)
        for number in range(old // 256, (size + 255) // 256):
            part = pairs[number * 256 : min(size, number * 256 + 256)]
            path = entries_path(number, len(part))
            _write(root / "log" / path, encode_entries([header for header, _ in part]))
            _write(root / "bodies" / path.removeprefix("tile/entries/"), encode_bundle([slot for _, slot in part]))
        notes.append(sign_checkpoint(Checkpoint(ORIGIN, size, tree.root()), SIGNER))
        _write(root / "log" / "checkpoint", notes[-1])
        old = size
    half = end // 2 // frame_records * frame_records
    for first, last in ((0, half), (half, end)) if half else ((0, end),):
        frames = [
            encode_frame(at, pairs[at : min(at + frame_records, last)]) for at in range(first, last, frame_records)
        ]
        data = segment_header(first, ORIGIN) + b"".join(frames) + bytes(4096)
        _write(root / "journal" / segment_name(first), data)
    _write(root / "secrets" / "body.keys", f"{BODY_KEY.key.hex()}\n".encode())
    (root / "secrets" / "body.keys").chmod(0o600)
    return notes


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# -- rewriting: what a thief with the log's key can do ---------------------------------------------------------------


def with_fields(header: Header, **fields: Any) -> Header:
    """The header with some fields replaced."""
    values = {name: getattr(header, name) for name in header.__struct_fields__}
    return Header(**{**values, **fields})


def with_content(record: Rec, change: Callable[[dict[str, Any]], None]) -> Rec:
    """The record with its body changed in place by `change`."""
    content = record.content
    change(content)
    return replace(record, plain=canonical.encode(content))


def refold(records: Sequence[Rec]) -> list[Rec]:
    """The records with the roots that their changes now give."""
    state, result = State(), list(records)
    for index, record in enumerate(records):
        if record.header.kind in STATE_KINDS:
            state.apply(decode_ops(record.content["objects"]), index)
            result[index] = replace(record, header=with_fields(record.header, root=state.root))
    return result


def recontext(records: Sequence[Rec]) -> list[Rec]:
    """The records with the contexts that their changes now give."""
    state, result = State(), []
    for index, record in enumerate(records):
        if record.header.kind in STATE_KINDS:
            state.apply(decode_ops(record.content["objects"]), index)
        built = build_context(state, record.header.actor or "", SYSTEM)
        result.append(_with_context(record, built) if record.header.kind == "context" else record)
    return result


def _with_context(record: Rec, built: dict[str, Any]) -> Rec:
    return with_content(record, lambda content: content.update(built))


def without(records: Sequence[Rec], *gone: int) -> list[Rec]:
    """The records without some, every position in headers and changes moved, counters dense, roots as they now are.

    Contexts and decisions stay as they were: that is what a thief overlooks.
    """
    return reordered(records, [at for at in range(len(records)) if at not in gone])


def reordered(records: Sequence[Rec], order: Sequence[int | Rec]) -> list[Rec]:
    """The records in another order, some perhaps left out, others put in; everything moved as in `without`.

    What is put in refers to positions of the old order. Time does not run back: who comes too late has the time of
    the record before it.
    """
    moved = {old: new for new, old in enumerate(order) if isinstance(old, int)}
    taken = [records[item] if isinstance(item, int) else item for item in order]
    counters: dict[str, int] = {}
    result: list[Rec] = []
    state, last_at = 0, ""
    for at, record in enumerate(taken):
        seq = counters[record.header.source.stream] = counters.get(record.header.source.stream, -1) + 1
        sealed = max(record.header.log.at, last_at)
        result.append(_renumbered(record, moved, Log(sealed, state), seq))
        last_at = sealed
        if record.header.kind in STATE_KINDS:
            state = at + 1
    return refold(result)


def _renumbered(record: Rec, moved: dict[int, int], log: Log, seq: int) -> Rec:
    header = record.header
    fields: dict[str, Any] = {
        name: moved[at] for name in ("session", "context", "ref") if (at := getattr(header, name)) is not None
    }
    if header.decided is not None:
        fields["decided"] = log.state
    fields["log"] = log
    fields["source"] = Source(header.source.stream, seq)
    if header.time.clock is not None:
        fields["time"] = Time(header.time.at, moved[header.time.clock])
    record = replace(record, header=with_fields(header, **fields))
    if record.header.kind not in ("change", "proposal", "approval"):
        return record

    def change(content: dict[str, Any]) -> None:
        for item in content.get("objects", []):
            if item["based"] is not None:
                item["based"] = moved[item["based"]]
        for item in content.get("approvals", []):
            item["approval"] = moved[item["approval"]]
        if "proposal" in content:
            content["proposal"] = moved[content["proposal"]]

    return with_content(record, change)
