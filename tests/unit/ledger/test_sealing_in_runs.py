"""Drafts sealed in runs give the records that they give one at a time, and a refusal within a run stops it there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from ledgercase import ACTOR, BOOT, SYSTEM, Batch, Case, Earlier, code, indexes
from simdisk import SimDisk

from affidavit.ledger import sequencer
from affidavit.ledger.ledger import Ledger
from affidavit.record.draft import Draft
from affidavit.record.header import Header, decode_header
from affidavit.record.read import Record
from affidavit.record.tags import tag_under

ROOT = Path("/data")


@pytest.fixture
def case() -> Case:
    case = Case(SimDisk(), ROOT)
    case.create()
    return case


def mixed(case: Case, chance: random.Random) -> list[Draft]:
    """A session's drafts, most of them like the one before, in an order that the seed chooses."""
    drafts = [case.opening(), case.context()]
    fields: dict[str, Any] = {}
    for _ in range(60):
        if chance.random() < 0.3:
            fields = {
                "action": chance.choice(("read", "write")),
                "outcome": chance.choice(("ok", "error")),
                "tags": chance.choice(
                    ((), ("a|table|x",), ("a|table|x", "a|table|y"), tuple(str(number) for number in range(40)))
                ),
            }
        kind = chance.choice(("access",) * 6 + ("presented", "transaction"))
        if kind == "access":
            drafts.append(case.access(Earlier(0), Earlier(1), **fields))
        else:
            common = {"actor": ACTOR, "system": SYSTEM, "session": Earlier(0)}
            ref = (
                {"ref": Earlier(len(drafts) - 1), "outcome": "ok"} if drafts[-1].kind == "access" else {"outcome": "ok"}
            )
            drafts.append(case.draft(kind, **common, **(ref if kind == "transaction" else {})))
    return drafts


def fields_of(record: Record) -> dict[str, Any]:
    header: Header = decode_header(record.raw)  # strict: the one spelling, and what its kind needs
    return {name: getattr(header, name) for name in header.__struct_fields__ if name not in ("source", "log")}


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_gives_what_its_drafts_give_one_at_a_time(case: Case, seed: int) -> None:
    ledger = case.recover()
    drafts = mixed(case, random.Random(seed))
    together = ledger.append(Batch(case.stream(), BOOT, 0, tuple(drafts)))
    assert "" == code(together)
    first = indexes(together)[0]
    assert list(range(first, first + len(drafts))) == indexes(together)
    stream = case.stream()
    alone = [indexes(ledger.append(Batch(stream, BOOT, at, (draft,))))[0] for at, draft in enumerate(drafts)]
    reader = ledger.reader()
    for at, (one, other) in enumerate(zip(indexes(together), alone, strict=True)):
        expected, found = fields_of(reader.record(other)), fields_of(reader.record(one))
        for name in ("session", "context", "ref"):
            if expected[name] is not None:
                expected[name] -= alone[0] - first
        assert expected == found, (at, drafts[at])
        assert at == reader.record(one).header.source.seq
        assert drafts[at].body is not None
        assert reader.record(one).content == reader.record(other).content


def test_tags_in_a_run_are_those_that_their_keys_find(case: Case) -> None:
    ledger = case.recover()
    names = ("a|table|x", "a|table|y")
    drafts = (case.opening(), case.context(), *(case.access(Earlier(0), Earlier(1), tags=names) for _ in range(3)))
    answer = ledger.append(Batch(case.stream(), BOOT, 0, drafts))
    keys = [ledger._sequencer._tagger.key_of(name) for name in names]
    for index in indexes(answer)[2:]:
        header = ledger.reader().record(index).header
        assert tuple(sorted(tag_under(key, header.id) for key in keys)) == header.tags


def wrong_id(draft: Draft) -> dict[str, Any]:
    return {"id": draft.id.replace("-7", "-4")}


def no_salt(_: Draft) -> dict[str, Any]:
    return {"body": b'{"n":1}'}


def another_outcome_inside(_: Draft) -> dict[str, Any]:
    return {"body": b'{"result":{"outcome":"error"},"salt":"AAAAAAAAAAAAAAAAAAAAAA"}'}


def before_1970(_: Draft) -> dict[str, Any]:
    return {"at": -1}


def another_actor(_: Draft) -> dict[str, Any]:
    return {"actor": "u-ffffffffffffffff"}


@pytest.mark.parametrize(
    ("spoil", "refused"),
    [
        (wrong_id, "draft"),
        (no_salt, "draft"),
        (another_outcome_inside, "draft"),
        (before_1970, "draft"),
        (another_actor, "reference"),
    ],
)
def test_a_refusal_within_a_run_stops_it_there(case: Case, spoil: Any, refused: str) -> None:
    ledger = case.recover()
    drafts = [case.opening(), case.context(), *(case.access(Earlier(0), Earlier(1)) for _ in range(6))]
    fields = {name: getattr(drafts[5], name) for name in drafts[5].__struct_fields__}
    stream = case.stream()
    bad = Draft(**{**fields, **spoil(drafts[5])})
    answer = ledger.append(Batch(stream, BOOT, 0, (*drafts[:5], bad, *drafts[6:])))
    assert (5, refused) == (len(answer.receipts), code(answer))
    assert indexes(answer)[-1] + 1 == ledger.size
    rest = ledger.append(Batch(stream, BOOT, 5, tuple(drafts[5:])))
    assert ("", 3) == (code(rest), len(rest.receipts))
    assert [5, 6, 7] == [ledger.reader().record(index).header.source.seq for index in indexes(rest)]


def test_a_follower_is_shown_its_kinds_out_of_runs(case: Case) -> None:
    ledger: Ledger = case.recover()
    shown: list[Record] = []
    ledger.follow(shown.extend, frozenset({"access", "session.open"}))
    drafts = mixed(case, random.Random(9))
    answer = ledger.append(Batch(case.stream(), BOOT, 0, tuple(drafts)))
    wanted = [
        index for index, draft in zip(indexes(answer), drafts, strict=True) if draft.kind in ("access", "session.open")
    ]
    assert wanted == [record.index for record in shown]
    assert [ledger.reader().record(index) for index in wanted] == shown


def test_templates_are_bounded(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "TEMPLATES_MAX", 3)
    ledger = case.recover()
    for number in range(8):
        actor = f"u-{number:016x}"
        drafts = (
            case.opening(actor=actor),
            case.context(actor=actor),
            case.access(Earlier(0), Earlier(1), actor=actor),
        )
        answer = ledger.append(Batch(case.stream(), BOOT, 0, drafts))
        assert actor == ledger.reader().record(indexes(answer)[2]).header.actor
        assert len(ledger._sequencer._templates) <= 3


def test_what_was_found_of_a_draft_holds_for_other_streams_until_something_ends(case: Case) -> None:
    ledger = case.recover()
    first, others = case.stream(), [case.stream() for _ in range(3)]
    session, context = case.session(ledger, first)
    for stream in others:
        answer = ledger.append(Batch(stream, BOOT, 0, (case.access(session, context),)))
        header = ledger.reader().record(indexes(answer)[0]).header
        assert (stream, session, context) == (header.source.stream, header.session, header.context)
    another_boot = ledger.append(Batch(others[0], "ab" * 16, 1, (case.access(session, context),)))
    assert ledger.reader().record(indexes(another_boot)[0]).header.time.clock is None
    closing = case.draft("session.close", actor=ACTOR, system=SYSTEM, session=session, outcome="ok")
    assert "" == code(ledger.append(Batch(first, BOOT, 2, (closing,))))
    assert "reference" == code(ledger.append(Batch(others[1], BOOT, 1, (case.access(session, context),))))


def test_what_was_found_of_a_draft_does_not_outlive_the_state(case: Case) -> None:
    ledger = case.recover()
    stream, other = case.stream(), case.stream()
    session, context = case.session(ledger, stream)
    access = case.access(session, context, decided=ledger.state_index)
    assert "" == code(ledger.append(Batch(stream, BOOT, 2, (access,))))
    assert "" == code(ledger.append(Batch(other, BOOT, 0, (case.change(ledger.state_index),))))
    again = case.access(session, context, decided=access.decided)
    assert "conflict" == code(ledger.append(Batch(stream, BOOT, 3, (again,))))
