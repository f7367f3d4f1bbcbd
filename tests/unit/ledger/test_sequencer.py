"""What sealing promises, draft by draft (record/draft.py), on a log in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from ledgercase import ACTOR, ADMINISTRATOR, BOOT, FIRST_STATE, Case, code, indexes
from simdisk import SimDisk

from affidavit.ledger import standing as standing_module
from affidavit.ledger.ledger import Ledger
from affidavit.limits import BATCH_RECORDS_MAX
from affidavit.record.body import encode_body
from affidavit.record.draft import Batch, Draft, Earlier
from affidavit.record.header import decode_header
from affidavit.record.read import Record
from affidavit.record.tags import Tagger


@pytest.fixture
def case() -> Case:
    case = Case(SimDisk(), Path("/data"))
    case.create()
    return case


@pytest.fixture
def ledger(case: Case) -> Ledger:
    return case.recover()


def sealed(ledger: Ledger, index: int) -> Record:
    record = ledger.reader().record(index)
    assert decode_header(record.raw) == record.header, "the strict reading accepts what was sealed"
    return record


def test_a_session_with_its_context_and_access_in_one_batch(case: Case, ledger: Ledger) -> None:
    stream = case.stream()
    access = case.access(Earlier(0), Earlier(1), tags=("clinic|table|public.visits",))
    answer = ledger.append(Batch(stream, BOOT, 0, (case.opening(), case.context(), access)))
    assert answer.refusal is None
    first = indexes(answer)[0]
    record = sealed(ledger, first + 2)
    header = record.header
    assert (first, first + 1, 5) == (header.session, header.context, header.time.clock)
    assert (stream, 2) == (header.source.stream, header.source.seq)
    assert (FIRST_STATE, "allow", "ok", ACTOR) == (header.log.state, header.decision, header.outcome, header.actor)
    assert case.secrets is not None
    assert Tagger(case.secrets.tag_key).tags(access.id, access.tags)[0] == header.tags
    assert {"n": 1, "salt": record.content["salt"]} == record.content
    assert answer.receipts[2] == type(answer.receipts[2])(first + 2, access.id, header.log.at, FIRST_STATE)


def test_a_clock_is_that_of_the_boot_and_none_means_unbounded(case: Case, ledger: Ledger) -> None:
    answer = ledger.append(Batch(case.stream(), "0c" * 16, 0, (case.opening(),)))
    assert sealed(ledger, indexes(answer)[0]).header.time.clock is None
    theirs = case.draft("clock", body=case.body(boot="0c" * 16, bound_ns=None))
    answer = ledger.append(Batch(case.stream(), "0c" * 16, 0, (theirs, case.opening())))
    clock, opening = indexes(answer)
    assert clock == sealed(ledger, opening).header.time.clock


def test_numbers(case: Case, ledger: Ledger) -> None:
    stream = case.stream()
    batch = Batch(stream, BOOT, 0, (case.opening(), case.context()))
    first = ledger.append(batch)
    assert first == ledger.append(batch), "a repeat gets its first answer"
    other = Batch(stream, BOOT, 0, (case.opening(), case.context()))
    assert "number" == code(ledger.append(other)), "a repeat with other content"
    size = ledger.size
    after_hole = ledger.append(Batch(stream, BOOT, 5, (case.context(),)))
    assert [size + 1] == indexes(after_hole)
    gap = sealed(ledger, size)
    assert "log.gap" == gap.header.kind
    assert {"stream": stream, "first": 2, "last": 4} == gap.content["missing"]
    assert ("counter", []) == (gap.content["cause"], gap.content["streams"])
    assert "number" == code(ledger.append(Batch(stream, BOOT, 2, (case.context(),))))
    assert 5 == sealed(ledger, size + 1).header.source.seq


def test_a_batch_is_sealed_up_to_its_first_refused_draft(case: Case, ledger: Ledger) -> None:
    stream = case.stream()
    batch = Batch(stream, BOOT, 0, (case.opening(), case.access(999, 999), case.context()))
    answer = ledger.append(batch)
    assert (1, "reference") == (len(answer.receipts), code(answer))
    assert answer == ledger.append(batch), "the repeat of a batch that was sealed in part"
    assert "" == code(ledger.append(Batch(stream, BOOT, 1, (case.context(),))))


def test_a_decision_under_an_older_state_is_a_conflict(case: Case, ledger: Ledger) -> None:
    session, context = case.session(ledger, case.stream())
    change = ledger.append(Batch(case.stream(), BOOT, 0, (case.change(FIRST_STATE),)))
    state = indexes(change)[0] + 1
    assert state == ledger.state_index
    stale = ledger.append(Batch(case.stream(), BOOT, 0, (case.access(session, context),)))
    assert ("conflict", state) == (code(stale), stale.refusal.state if stale.refusal else 0)
    late = case.access(session, context, guarantee="after")
    answer = ledger.append(Batch(case.stream(), BOOT, 0, (late,)))
    header = sealed(ledger, indexes(answer)[0]).header
    assert (FIRST_STATE, state) == (header.decided, header.log.state)
    future = case.access(session, context, state=state + 1)
    assert "draft" == code(ledger.append(Batch(case.stream(), BOOT, 0, (future,))))
    two = (case.change(state), case.change(state))
    answer = ledger.append(Batch(case.stream(), BOOT, 0, two))
    assert (1, "conflict") == (len(answer.receipts), code(answer)), "the second was decided before the first"


def test_records_without_a_decision_of_ours_never_conflict(case: Case, ledger: Ledger) -> None:
    stream = case.stream()
    session, context = case.session(ledger, stream)
    intent = case.access(session, context, kind="access.intent", guarantee="before_action")
    ledger.append(Batch(stream, BOOT, 2, (intent,)))
    ledger.append(Batch(case.stream(), BOOT, 0, (case.change(FIRST_STATE),)))
    common: dict[str, Any] = {"actor": ACTOR, "system": "clinic", "session": session, "outcome": "ok"}
    rest = (
        case.draft("access.outcome", ref=Earlier(2), **common),
        case.draft("transaction", ref=Earlier(2), **common),
        case.draft("session.close", **common),
    )
    answer = ledger.append(Batch(stream, BOOT, 3, rest))
    assert (3, "") == (len(answer.receipts), code(answer))


def test_references_that_may_not_be(case: Case, ledger: Ledger) -> None:
    stream = case.stream()
    session, context = case.session(ledger, stream)
    denied = ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(decision="deny", outcome="none"),)))
    other = ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(actor="u-other"), case.context(actor="u-other"))))
    intent = (
        ledger.append(Batch(case.stream(), BOOT, 0, (case.access(session, context, kind="access.intent"),)))
        .receipts[0]
        .index
    )
    common: dict[str, Any] = {"actor": ACTOR, "system": "clinic", "session": session, "outcome": "ok"}
    ledger.append(Batch(case.stream(), BOOT, 0, (case.draft("access.outcome", ref=intent, **common),)))
    wrong = {
        "a denied session": case.access(indexes(denied)[0], context),
        "another's session": case.access(indexes(other)[0], context),
        "another's context": case.access(session, indexes(other)[1]),
        "a session as context": case.access(session, session),
        "a context as session": case.access(context, context),
        "beyond the log": case.access(session, 10**9),
        "negative": case.access(-1, context),
        "an unknown number": case.access(session, Earlier(77)),
        "an intent twice": case.draft("access.outcome", ref=intent, **common),
        "an access as intent": case.draft("access.outcome", ref=context, **common),
        "ref beyond the log": case.draft("transaction", ref=10**6, **common),
        "ref before the session": case.draft("transaction", ref=2, **common),
    }  # fmt: skip
    for name, draft in wrong.items():
        answer = ledger.append(Batch(case.stream(), BOOT, 0, (draft,)))
        assert ((), "reference") == (answer.receipts, code(answer)), name


def test_a_closed_session_is_over_and_leaves_nothing(case: Case, ledger: Ledger) -> None:
    stream = case.stream()
    session, context = case.session(ledger, stream)
    fields: dict[str, Any] = {"actor": ACTOR, "system": "clinic", "session": session, "outcome": "ok"}
    assert "" == code(ledger.append(Batch(stream, BOOT, 2, (case.draft("session.close", **fields),))))
    again = ledger.append(Batch(stream, BOOT, 3, (case.draft("session.close", **fields),)))
    late = ledger.append(Batch(stream, BOOT, 3, (case.access(session, context),)))
    assert ("reference", "reference") == (code(again), code(late))


def test_drafts_that_are_wrong_by_themselves(case: Case, ledger: Ledger) -> None:
    session, context = case.session(ledger, case.stream())
    good = case.access(session, context)

    def but(**fields: Any) -> Draft:
        return msgspec.structs.replace(good, **fields)

    wrong = {
        "kind": but(kind="access.maybe"),
        "a kind of ours": case.draft("log.open"),
        "a gap that ends others": case.draft("log.gap", body=case.body(cause="crash", streams=["ab" * 16])),
        "a clock of another boot": case.draft("clock", body=case.body(boot="cc" * 16)),
        "a clock that cannot be read": case.draft("clock", body=b'{"salt": "0123456789012345678901"}'),
        "id": but(id="7"),
        "no actor": but(actor=None),
        "empty actor": but(actor=""),
        "a lone surrogate": case.draft("context", actor=ACTOR, system="\ud800", decided=FIRST_STATE),
        "basis": but(basis="believed"),
        "outcome": but(outcome="fine"),
        "no body": but(body=None),
        "unsalted": but(body=b"{}"),
        "not JSON": but(body=b"{"),
        "too large": but(body=b'{"salt":"' + bytes(70_000)),
        "root on an access": but(root="ab" * 32),
        "ref on an access": but(ref=3),
        "time": but(at=-1),
        "body of another": but(body=encode_body({"actor": {"id": ADMINISTRATOR}}, bytes(16))),
        "body of another action": but(body=encode_body({"action": {"class": "write"}}, bytes(16))),
        "body of another decision": but(body=encode_body({"authorization": {"decision": "deny"}}, bytes(16))),
        "body of another outcome": but(body=encode_body({"result": {"outcome": "error"}}, bytes(16))),
    }  # fmt: skip
    size = ledger.size
    for name, draft in wrong.items():
        answer = ledger.append(Batch(case.stream(), BOOT, 0, (draft,)))
        assert ((), "draft") == (answer.receipts, code(answer)), name
    assert size == ledger.size
    assert ledger.failure is None
    assert "" == code(ledger.append(Batch(case.stream(), BOOT, 0, (good,))))


def test_batches_that_are_wrong(case: Case, ledger: Ledger) -> None:
    opening = case.opening()
    assert "number" == code(ledger.append(Batch("nothex" * 5 + "zz", BOOT, 0, (opening,))))
    assert "number" == code(ledger.append(Batch(case.stream(), BOOT, -1, (opening,))))
    own = sealed(ledger, ledger.size - 1).header.source.stream
    assert "number" == code(ledger.append(Batch(own, BOOT, 2, (opening,)))), "the ledger's own stream"
    assert "draft" == code(ledger.append(Batch(case.stream(), BOOT, 0, (opening,) * (BATCH_RECORDS_MAX + 1))))
    heavy = msgspec.structs.replace(opening, body=encode_body({"x": "y" * 60_000}, bytes(16)))
    assert "draft" == code(ledger.append(Batch(case.stream(), BOOT, 0, (heavy,) * 200)))
    assert () == ledger.append(Batch(case.stream(), BOOT, 0, ())).receipts


def test_streams_are_bounded_and_an_ended_one_does_not_come_back(
    case: Case, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("affidavit.ledger.sequencer.STREAMS_MAX", 4)
    idle, busy = case.stream(), [case.stream() for _ in range(2)]
    ledger.append(Batch(idle, BOOT, 0, (case.context(),)))
    for stream in busy:
        case.session(ledger, stream)
    # The ledger's own stream is the fourth: the next one makes a silent stream end.
    assert "" == code(ledger.append(Batch(case.stream(), BOOT, 0, (case.context(),))))
    case.session(ledger, case.stream())
    assert "number" == code(ledger.append(Batch(idle, BOOT, 1, (case.context(),))))
    own = sealed(ledger, 5).header.source
    case.clock.advance(10**12)
    ledger.tick()
    ledger.step()
    again = sealed(ledger, ledger.size - 1).header.source
    assert (own.stream, own.seq + 1) == (again.stream, again.seq), "the ledger's own stream is never the one to end"


def test_the_sequencers_time_never_decreases(case: Case, ledger: Ledger) -> None:
    first = ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),)))
    case.clock.wall_ns -= 10**12
    second = ledger.append(Batch(case.stream(), BOOT, 0, (case.opening(),)))
    assert first.receipts[0].at == second.receipts[0].at


def test_kinds_have_codes_of_one_byte() -> None:
    assert max(standing_module.KIND_CODES.values()) < 256
