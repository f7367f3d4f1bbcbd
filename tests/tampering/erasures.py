"""Alterations of a log in which bodies were erased, by somebody who holds every key of the log and seals it anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from logmaker import BOB, LEDGER, Paper, Rec, afternoon, with_content, with_fields, without, write_log

from affidavit import canonical
from affidavit.record.body import Erased, erased_slot, open_slot
from affidavit.state.change import salt_bytes
from affidavit.state.hidden import HiddenOp, encode_hidden
from affidavit.state.map import path_of, value_hash
from tampering.kinds import ACCESSES, Case, Found, Need, Tampering

_READ = frozenset({Need.BODY_KEYS})
_TO_COME = (
    "an erasure may be under way, and a copy be older than it, so the verdict names both records and is no success: exit "
    "status 3. `fsck` names the body as lost, and duty 11 fails once the log has grown past that record"
)
_KEPT = Found(5, "kept.forked", frozenset({Need.KEPT}))


def _played() -> Paper:
    """The afternoon, then a profile, and erasures of an access and of that profile."""
    paper = Paper()
    paper.genesis()
    play = afternoon(ACCESSES, on=paper)
    profile = paper.change([paper.put(f"profile/{BOB}", {"handle": "bob", "name": "Robert", "mail": ""})])
    paper.erase(play.first_access + 8)
    paper.erase(profile)
    return paper


@cache
def erased_log() -> tuple[Rec, ...]:
    """A log in which an access and a change were erased."""
    paper = _played()
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    return tuple(paper.records)


def _row(
    part: str, deed: str, rewrite: Callable[[list[Rec]], Sequence[Rec]], *found: Found, why: str = "", said: str = ""
) -> Tampering:
    def alter(case: Case) -> None:
        records = list(erased_log())
        shutil.rmtree(case.folder)
        case.kept = tuple(write_log(case.folder, records, (3, 10, len(records) - 1)))
        case.write(rewrite(records))

    return Tampering(part, deed, alter, found, why, said=said)


def _header(index: int, **fields: Any) -> Callable[[list[Rec]], list[Rec]]:
    def rewrite(records: list[Rec]) -> list[Rec]:
        records[index] = replace(records[index], header=with_fields(records[index].header, **fields))
        return records

    return rewrite


def _slot(index: int, slot: Callable[[Rec], bytes | None]) -> Callable[[list[Rec]], list[Rec]]:
    def rewrite(records: list[Rec]) -> list[Rec]:
        records[index] = replace(records[index], slot=slot(records[index]))
        return records

    return rewrite


def _left(change: Callable[[bytes], bytes]) -> Callable[[Rec], bytes]:
    """Change what a stub holds after the index of the record that erased."""

    def slot(record: Rec) -> bytes:
        held = open_slot(record.slot or b"", "", {})
        assert isinstance(held, Erased)
        return erased_slot(held.by, change(held.left))

    return slot


def _with_one_more_put(left: bytes) -> bytes:
    """Every root stays; but a policy would count as erased from there on, and no decision be made again."""
    held = next(version for version in map(_played().state.get, ("policy/administrators",)) if version is not None)
    value = value_hash(salt_bytes(held.salt), canonical.encode_trusted(held.value))
    return left + encode_hidden([HiddenOp(path_of(held.name), value)])


def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda left: left[:at] + bytes([left[at] ^ 1]) + left[at + 1 :]


def _rows() -> list[Tampering]:
    erasing = len(erased_log()) - 3
    profile, access = erasing - 1, erased_log()[erasing].header.ref or 0
    other = access + 1

    def denied(paper_records: list[Rec]) -> list[Rec]:
        changed = _header(erasing, decision="deny", outcome="none")(paper_records)
        changed[erasing] = with_content(
            changed[erasing], lambda content: content["authorization"].update(decision="deny")
        )
        return changed

    return [
        _row("erase record", "removed", lambda r: without(r, erasing), Found(11, "bodies.erased", index=access), _KEPT),
        _row(
            "erase record", "made to name another record", _header(erasing, ref=other),
            Found(11, "bodies.erased", index=access), Found(11, "bodies.not_erased", index=other), _KEPT,
        ),
        _row(
            "erase record", "added for a body that is there", lambda r: _one_more(r, other),
            Found(11, "bodies.not_erased", index=other),
        ),
        _row("erase record", "of an erasure that was denied", denied, Found(11, "bodies.erased", index=access), _KEPT),
        _row(
            "erase record", "its account of what was erased changed",
            lambda r: [with_content(one, lambda c: c["record"].update(kind="presented")) if i == erasing else one for i, one in enumerate(r)],
            Found(13, "erase.record", _READ, index=erasing), _KEPT,
        ),
        _row("stub", "replaced by the body that was erased", _slot(access, lambda _: None), Found(11, "bodies.not_erased", index=access)),
        _row("stub", "made to name another record", _slot(access, lambda _: erased_slot(erasing + 1, b"")), Found(11, "bodies.erased", index=access)),
        _row("stub", "of an access, with something more in it", _slot(access, _left(lambda _: b"more")), Found(11, "bodies.stub", index=access)),
        _row("stub", "of a change, another value hash", _slot(profile, _left(_flip(40))), Found(14, "state.root", _READ, index=profile)),
        _row("stub", "of a change, another path", _slot(profile, _left(_flip(20))), Found(14, "state.root", _READ, index=profile)),
        _row("stub", "of a change, a put added that changes nothing", _slot(profile, _left(_with_one_more_put)), Found(14, "state.stub", _READ, index=profile)),
        _row("stub", "of a change, emptied", _slot(profile, _left(lambda _: b"")), Found(14, "state.stub", _READ, index=profile)),
        _row(
            "stub", "put in place of a body, naming a record to come", _slot(other, lambda _: erased_slot(10**6, b"")),
            why=_TO_COME, said="record 1000000, which a stub says erased record",
        ),
        _row("stub", "cut", _slot(access, lambda record: (record.slot or b"")[:9]), Found(11, "slot.stub", index=access)),
    ]  # fmt: skip


def _one_more(records: list[Rec], index: int) -> list[Rec]:
    """The same log with one more erase record before its end, for a body that stays where it is."""
    paper = _played()
    paper.erase_record(index)
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    assert len(paper.records) == len(records) + 1
    return paper.records


ERASURE_ROWS = _rows()
