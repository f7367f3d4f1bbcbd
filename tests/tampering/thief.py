"""Alterations by somebody who holds every key of the log and seals everything anew: each hash, root, signature, bundle
and journal frame is right. What no longer follows is found; what follows is found by a checkpoint kept elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from logmaker import (
    ALICE,
    BOB,
    CAROL,
    GATEWAY,
    LEDGER,
    ORIGIN,
    PATIENTS,
    T0_NS,
    Paper,
    Rec,
    afternoon,
    grant_value,
    recontext,
    refold,
    reordered,
    with_content,
    with_fields,
    without,
    write_log,
)

from affidavit.record.header import Log, Source, Time
from affidavit.record.moment import format_moment
from affidavit.state.change import decode_ops
from affidavit.tlog.notes import SignerKey
from tampering.kinds import ACCESSES, SHORT, Case, Found, Need, Tampering, played

PLAY = played(SHORT)
SIZE = len(PLAY.paper.records)
#: The kept checkpoint of size 3 holds in every row that rewrites what came later; that of size 10 does not.
Rewrite = Callable[[Sequence[Rec]], list[Rec]]
_CONTENT = frozenset({Need.BODY_KEYS})
_KEPT = frozenset({Need.KEPT})
FORKED = Found(5, "kept.forked", _KEPT)
AHEAD = Found(5, "kept.ahead", _KEPT)


def _row(part: str, deed: str, rewrite: Rewrite, *found: Found, why: str = "") -> Tampering:
    def alter(case: Case) -> None:
        case.write(rewrite(case.records))

    return Tampering(part, deed, alter, found, why)


def _by(duty: int, code: str, index: int | None = None) -> Found:
    """Found by the public key alone."""
    return Found(duty, code, index=index)


def read_by(duty: int, code: str, index: int | None = None) -> Found:
    """Found with the public key and the body keys."""
    return Found(duty, code, _CONTENT, index=index)


# -- tools ---------------------------------------------------------------------------------------------------------------


def _body(index: int, change: Callable[[dict[str, Any]], Any]) -> Rewrite:
    return lambda records: [with_content(one, change) if at == index else one for at, one in enumerate(records)]


def _header(index: int, **fields: Any) -> Rewrite:
    def rewrite(records: Sequence[Rec]) -> list[Rec]:
        changed = replace(records[index], header=with_fields(records[index].header, **fields))
        return [changed if at == index else one for at, one in enumerate(records)]

    return rewrite


def _then(*steps: Rewrite) -> Rewrite:
    def rewrite(records: Sequence[Rec]) -> list[Rec]:
        for step in steps:
            records = step(records)
        return list(records)

    return rewrite


def _leave_out(*gone: int) -> Rewrite:
    return lambda records: recontext(without(records, *gone))


def paper_at(records: Sequence[Rec], size: int) -> Paper:
    """A sheet of paper on which the first `size` records stand, to go on from there."""
    paper = Paper(records=list(records[:size]))
    paper._salts = 10_000
    for index, record in enumerate(paper.records):
        paper._seq[record.header.source.stream] = record.header.source.seq
        if record.header.kind == "clock":
            paper._clock = index
        if record.header.root is not None:
            paper.state.apply(decode_ops(record.content["objects"]), index)
    return paper


def _again(index: int, at: int, stream: Source) -> Rewrite:
    """The record at `index` once more in the place of the one at `at`, from `stream`."""

    def rewrite(records: Sequence[Rec]) -> list[Rec]:
        there = records[at].header
        twice = with_fields(records[index].header, id=there.id, log=there.log, source=stream)
        return [*records[:at], replace(records[index], header=twice), *records[at + 1 :]]

    return rewrite


# -- sessions and accesses -----------------------------------------------------------------------------------------------

A = PLAY
FIRST, DENIED, CLOSED, SESSION = A.first_access, A.denied, A.closed, A.session
_GRANT = A.grant if A.grant is not None else -1
_OF_SESSION = tuple(at for at, one in enumerate(A.paper.records) if one.header.session == SESSION)
_CONTEXTS = tuple(at for at, one in enumerate(A.paper.records) if one.header.kind == "context")
_RECOUNT = "the count in session.close was corrected with it: nothing in the log itself speaks against it"


def _count(index: int, less: int) -> Rewrite:
    def change(content: dict[str, Any]) -> None:
        content["accesses"] -= less

    return _body(index, change)


def _faked_gap(records: Sequence[Rec]) -> list[Rec]:
    """Three accesses gone, their numbers declared lost by a `log.gap` that never was."""
    gone = (FIRST + 3, FIRST + 4, FIRST + 5)
    lost = [records[at].header.source.seq for at in gone]
    paper = paper_at(records, FIRST + 3)
    at = records[FIRST + 2].header.log.at
    missing = {"stream": GATEWAY, "first": lost[0], "last": lost[-1]}
    body = {"cause": "counter", "start": at, "end": at, "streams": [], "missing": missing}
    gap = paper.records[paper.add("log.gap", LEDGER, body)]
    order: list[int | Rec] = [*range(FIRST + 3), gap, *range(FIRST + 6, len(records))]
    result = recontext(reordered(records, order))
    for at_, one in enumerate(result):
        if at_ > FIRST + 3 and one.header.source.stream == GATEWAY:
            source = Source(GATEWAY, one.header.source.seq + len(gone))
            result[at_] = replace(one, header=with_fields(one.header, source=source))
    return _count(CLOSED - 2, 3)(result)


def _exchange_bodies(a: int, b: int) -> Rewrite:
    def rewrite(records: Sequence[Rec]) -> list[Rec]:
        result = list(records)
        result[a], result[b] = replace(records[a], plain=records[b].plain), replace(records[b], plain=records[a].plain)
        return result

    return rewrite


def _earlier(index: int) -> Rewrite:
    """The producer's time of a record, ten seconds earlier."""

    def rewrite(records: Sequence[Rec]) -> list[Rec]:
        at = format_moment(T0_NS + (index - 10) * 1_000_000_000)
        return _header(index, time=Time(at, records[index].header.time.clock))(records)

    return rewrite


def _hole_in_counter(records: Sequence[Rec]) -> list[Rec]:
    """One access left out; nobody renumbered what its source sent afterwards."""
    result = recontext(without(records, FIRST + 3))
    for at, one in enumerate(result):
        if at >= FIRST + 3 and one.header.source.stream == GATEWAY:
            source = Source(GATEWAY, one.header.source.seq + 1)
            result[at] = replace(one, header=with_fields(one.header, source=source))
    return _count(CLOSED - 1, 1)(result)


def _sessions() -> list[Tampering]:
    s, a = "session", "access"
    inside = tuple(at for at in _OF_SESSION if at != CLOSED)
    whole = (SESSION, *_OF_SESSION, *_CONTEXTS)
    empty = read_by(9, "reference.accesses", CLOSED - len(inside))
    return [
        _row(s, "emptied: all its records but the first and the last removed", _leave_out(*inside), empty, FORKED),
        _row(
            s, "emptied, and its closing count corrected",
            _then(_leave_out(*inside), _count(CLOSED - len(inside), len(inside) - 1)), FORKED, why=_RECOUNT,
        ),
        _row(
            s, "removed from its beginning to its end", _leave_out(*whole), FORKED,
            why="what is left is the log of a day on which nobody came",
        ),
        _row(
            s, "its beginning removed, its accesses left", _again(3, SESSION, A.paper.records[SESSION].header.source),
            _by(9, "reference.session", FIRST), FORKED,
        ),
        _row(s, "ended, and used again", _again(FIRST, SIZE - 1, Source("0d" * 16, 0)), _by(9, "reference.session", SIZE - 1)),
        _row(a, "removed", _leave_out(FIRST + 3), read_by(9, "reference.accesses", CLOSED - 1), FORKED),
        _row(
            a, "removed, and the session's closing count corrected",
            _then(_leave_out(FIRST + 3), _count(CLOSED - 1, 1)), FORKED, why=_RECOUNT,
        ),
        _row(a, "removed, its number left free", _hole_in_counter, _by(10, "counter.hole", FIRST + 3), FORKED),
        _row(
            a, "three removed behind a faked log.gap", _faked_gap, FORKED,
            why="the log then says itself that records are missing, when and of which source; not that it is a lie",
        ),
        _row(
            a, "two swapped", _exchange_bodies(FIRST + 2, FIRST + 3), FORKED,
            why="both were allowed by the same state, in either order",
        ),
        _row(
            a, "another statement in its place",
            _body(FIRST + 8, lambda c: c["action"].update(statement="SELECT 1 FROM visits")), FORKED,
            why="the statement is believed as the writer saw it; the tables, which are decided on, stayed",
        ),
        _row(
            a, "another count of rows", _body(FIRST + 8, lambda c: c["result"].update(rows=1)), FORKED,
            why="the answer is believed as the writer saw it",
        ),
        _row(
            a, "dated back within what was allowed", _earlier(FIRST + 18), FORKED,
            why="the producer's time is its own claim; the order of records is not touched",
        ),
        _row(a, "dated back by the log's own clock", _header(DENIED, log=Log("2026-11-22T14:00:01.000000000Z", A.people + 3)), _by(8, "order.time", DENIED), FORKED),
        _row(a, "its counter's number used twice", _header(FIRST, source=Source(GATEWAY, 0)), _by(10, "counter.repeat", FIRST), FORKED),
        _row(a, "its id used twice", _header(DENIED, id=A.paper.records[4].header.id), _by(8, "order.id", DENIED), FORKED),
        _row(a, "put under another name", _header(FIRST, actor=CAROL), _by(9, "reference.session", FIRST), FORKED),
        _row(a, "made an entry that is no header", _header(FIRST, decision="perhaps"), _by(6, "header.field", FIRST), FORKED),
        _row(a, "of a session that is none", _header(FIRST, session=2), _by(9, "reference.session", FIRST), FORKED),
        _row(a, "of a session that begins later", _header(FIRST, session=CLOSED), _by(9, "reference.session", FIRST), FORKED),
        _row(
            a, "an intent given a second outcome",
            lambda records: [*records[: A.intent + 2], *_again(A.intent + 1, A.intent + 2, Source("0d" * 16, 0))(records)[A.intent + 2 : A.intent + 3]],
            _by(9, "reference.intent", A.intent + 2), AHEAD,
        ),
    ]  # fmt: skip


# -- decisions, contexts, settings ---------------------------------------------------------------------------------------


def _insert_grant(records: Sequence[Rec]) -> list[Rec]:
    """A grant put before the denied access, as if Bob might have read patients then."""
    before = FIRST - 3  # before policy asks two people for a grant
    paper = paper_at(records, before)
    grant = paper.records[paper.change([paper.put(f"grant/{BOB}/early", grant_value(PATIENTS, "read"))])]
    grant = replace(grant, header=with_fields(grant.header, id=grant.header.id[:-4] + "ffff"))
    order: list[int | Rec] = [*range(before), grant, *range(before, len(records))]
    return recontext(reordered(records, order))


def _grant_before_denial(records: Sequence[Rec]) -> list[Rec]:
    """The grant that followed the denied access put before it."""
    block = [A.proposal, A.approval, _GRANT]
    order = [*range(DENIED), *block, DENIED, *range(_GRANT + 1, len(records))]
    return recontext(reordered(records, order))


def _older_context(records: Sequence[Rec]) -> list[Rec]:
    """The last access under the context that held before the settings changed."""
    return _header(A.last_context + 3, context=_CONTEXTS[1])(records)


def _decisions() -> list[Tampering]:
    d, g, s = "decision", "grant", "settings"

    def settings(content: dict[str, Any]) -> None:
        content["objects"][0]["value"]["values"] = [{"name": "capture.result", "value": "digest"}]

    deny = _body(DENIED, lambda c: c["authorization"].update(decision="allow"))
    return [
        _row(d, "a denied access made an allowed one, in the header", _header(DENIED, decision="allow"), read_by(13, "content.disagrees", DENIED), FORKED),
        _row(d, "the same in header and body", _then(deny, _header(DENIED, decision="allow")), read_by(17, "decision.differs", DENIED), FORKED),
        _row(d, "made under an older state", _header(DENIED, decided=A.people + 1), _by(8, "order.decided", DENIED), FORKED),
        _row(d, "a state index that is another one", _header(DENIED, log=Log(A.paper.records[DENIED].header.log.at, 3), decided=3), _by(8, "order.state", DENIED), FORKED),
        _row(
            d, "another table in the record than was decided on",
            _body(FIRST, lambda c: c["action"]["tables"][0].update(name="patients")), read_by(17, "decision.requests", FIRST), FORKED,
        ),
        _row(d, "its context replaced by an older one", _older_context, read_by(17, "decision.context", A.last_context + 3), FORKED),
        _row(
            g, "removed", lambda r: without(r, A.proposal, A.approval, _GRANT),
            read_by(16, "context.differs", _GRANT + 1 - 3), FORKED,
        ),
        _row(
            g, "removed, and every context made anew", _leave_out(A.proposal, A.approval, _GRANT),
            read_by(17, "decision.differs", _GRANT + 2 - 3), FORKED,
        ),
        _row(
            g, "removed, and every context and decision after it made anew",
            lambda _: list(afternoon(ACCESSES, grant_patients=False).paper.records), FORKED,
            why="a history in which it was never made, played to its end, is a history",
        ),
        _row(g, "turned into another inside its change", _then(_body(FIRST - 4, _other_grant), refold), read_by(16, "context.differs", FIRST - 1), FORKED),
        _row(g, "inserted before an access that was denied", _insert_grant, read_by(17, "decision.differs", DENIED + 1), FORKED),
        _row(g, "moved before the access that was denied for want of it", _grant_before_denial, read_by(17, "decision.context", DENIED + 3), FORKED),
        _row(s, "a settings change rewritten", _then(_body(A.settings, settings), refold), read_by(16, "context.differs", A.last_context), FORKED),
        _row(s, "a row captured that the settings leave out", _body(CLOSED - 1, lambda c: c["result"].update(captured=[["secret"]])), read_by(18, "capture.settings", CLOSED - 1), FORKED),
        _row(s, "a statement cut to its digest", _body(FIRST, lambda c: c["action"].update(form="digest")), read_by(18, "capture.settings", FIRST), FORKED),
        _row(s, "a weaker guarantee", _header(FIRST, guarantee="after"), read_by(18, "capture.settings", FIRST), FORKED),
    ]  # fmt: skip


def _other_grant(content: dict[str, Any]) -> None:
    content["objects"] = [{**content["objects"][0], "name": f"grant/{BOB}/nothing"}]


# -- changes and approvals -----------------------------------------------------------------------------------------------


def _approved_by(index: int, approver: str) -> Rewrite:
    return _body(_GRANT, lambda c: c.update(approvals=[{"approval": index, "approver": approver}]))


def _changes() -> list[Tampering]:
    c = "change"
    other = _body(_GRANT, lambda b: b["objects"][0].update(value=grant_value(PATIENTS, "read", "write")))
    return [
        _row(c, "a root that is another one", _header(A.people, root="00" * 32), read_by(14, "state.root", A.people), FORKED),
        _row(c, "its approval taken out", _body(_GRANT, lambda b: b.update(approvals=[])), read_by(15, "change.decided", _GRANT), FORKED),
        _row(c, "approved by the one who asked", _approved_by(A.approval, ALICE), read_by(15, "change.approval", _GRANT), FORKED),
        _row(c, "approved by what is no approval", _approved_by(A.people, CAROL), read_by(15, "change.approval", _GRANT), FORKED),
        _row(c, "other objects than were approved", _then(other, refold), read_by(15, "change.proposal", _GRANT), FORKED),
        _row(c, "an approval of what was never proposed", _header(A.approval, ref=A.people), _by(9, "reference.ref", A.approval), FORKED),
        _row(c, "by the login of somebody else", _body(A.people + 1, lambda b: b["via"].update(credential="uid-desk-1001")), read_by(15, "change.actor", A.people + 1), FORKED),
        _row(c, "by no login", _body(A.people + 1, lambda b: b["via"].update(method="trust me")), read_by(15, "change.actor", A.people + 1), FORKED),
        _row(c, "said to be the genesis", _body(A.people, lambda b: b.update(via={"method": "genesis"})), read_by(7, "genesis.change", A.people), FORKED),
    ]  # fmt: skip


# -- the log's own records -----------------------------------------------------------------------------------------------


def _second_genesis(records: Sequence[Rec]) -> list[Rec]:
    paper = Paper()
    paper.genesis()
    last = records[-1].header
    again = []
    for at, one in enumerate(paper.records):
        identity = one.header.id[:-4] + f"{len(records) + at:04x}"
        source = Source(LEDGER, last.source.seq + 1 + at)
        fields = {"id": identity, "source": source, "log": last.log, "time": last.time}
        if one.header.decided is not None:
            fields["decided"] = last.log.state
        again.append(replace(one, header=with_fields(one.header, **fields)))
    return [*records, *again]


def later(records: Sequence[Rec], size: int, accesses: int) -> list[Rec]:
    """The history up to `size`, and then another day."""
    paper = paper_at(records, size)
    for _ in range(accesses):
        paper.access(SESSION, FIRST - 1)
    paper.close_session(SESSION, accesses + sum(records[at].header.kind == "access" for at in _OF_SESSION if at < size))
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    return paper.records


def _with_verdict(case: Case) -> None:
    """A log that holds a verdict on itself, published and kept, and then the same without that record."""
    paper = paper_at(case.records, len(case.records) - 1)
    at = paper.add("log.verdict", LEDGER, {"size": DENIED, "holds": False})
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    shutil.rmtree(case.folder)
    case.kept = tuple(write_log(case.folder, paper.records, (3, at)))
    case.write(without(paper.records, at))


def _other_key(case: Case) -> None:
    """The whole log signed by a key that the thief made, of the same name."""
    shutil.rmtree(case.folder)
    with patch("logmaker.SIGNER", SignerKey(ORIGIN, bytes(32))):
        write_log(case.folder, case.records, (3, 10))


def _own() -> list[Tampering]:
    k, o, w = "clock record", "log.open", "whole history"
    time = A.paper.records[FIRST].header.time.at
    return [
        _row(
            k, "its error bound made smaller", _body(1, lambda c: c.update(bound_ns="10")), FORKED,
            why="the bound is what the machine said then",
        ),
        _row(k, "replaced, in a record that it bounds, by what is none", _header(FIRST, time=Time(time, 2)), _by(9, "reference.clock", FIRST), FORKED),
        _row(k, "taken out of a record that it bounds", _header(FIRST, time=Time(time)), read_by(9, "reference.clock", FIRST), FORKED),
        _row(o, "another administrator named", _body(0, lambda c: c.update(administrator=BOB)), read_by(7, "genesis.administrator", 2), FORKED),
        _row(o, "another log named", _body(0, lambda c: c.update(origin="log.example/other")), read_by(7, "genesis.origin", 0), FORKED),
        _row(o, "the log begun again after its end", _second_genesis, read_by(7, "genesis.open")),
        Tampering(
            "log.verdict", "removed", _with_verdict, (AHEAD,),
            "nothing refers to it, and its source's numbers were closed over it",
        ),
        Tampering(w, "signed by another key", _other_key, (Found(1, "note.unknown"),)),
        _row(
            w, "the newest day deleted, and what is left signed again", lambda r: later(r, DENIED, 0), AHEAD,
            why="a shorter log is a whole log",
        ),
        _row(
            w, "a second one signed from the newest day on", lambda r: later(r, DENIED, 30), FORKED,
            why="each of the two is a whole log; the key signed both",
        ),
        _row(
            w, "another one from the first record on", lambda _: list(afternoon(ACCESSES + 30, grant_patients=False).paper.records), FORKED,
            why="the whole log was made anew",
        ),
    ]  # fmt: skip


THIEF_ROWS = [*_sessions(), *_decisions(), *_changes(), *_own()]
