"""What follows and what does not, in logs that are sealed right: lapses, drifts, gaps, lag, starts. And who is blamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from logmaker import (
    BOB,
    BODY_KEY,
    CAROL,
    DESK,
    GATEWAY,
    LEDGER,
    ORIGIN,
    SIGNER,
    Paper,
    Rec,
    afternoon,
    with_content,
    with_fields,
    write_log,
)
from tampering.endings import (
    BOBS,
    TOKEN,
    break_glass,
    credential,
    lapse,
    moment,
    review,
    session_by,
    two_people,
    went_on,
)
from tampering.files import BUNDLE, HIGHER, TILE
from tampering.kinds import LONG, Need, judge, make_case
from tampering.table import ROWS
from tampering.thief import paper_at

from affidavit.archive.open import open_archive
from affidavit.record.header import Source
from affidavit.state.change import encode_ops
from affidavit.state.changing import restoration_ops
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import sign_note
from affidavit.tlog.restoration import restoration_text
from affidavit.verify.verify import verify


def codes(root: Path, records: Sequence[Rec]) -> set[tuple[str, int | None]]:
    write_log(root / "data", records, (3, min(10, len(records) - 1)))
    verdict = verify(open_archive(str(root / "data")), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})
    assert ["passed"] * 4 == [check.status for check in verdict.checks[:4]]
    assert "passed" == verdict.checks[11].status
    return {(finding.code, finding.index) for check in verdict.checks for finding in check.findings}


def blamed(root: Path, part: str, deed: str) -> list[tuple[str, str, int | None]]:
    case = make_case(root / "data", LONG)
    next(row for row in ROWS if (row.part, row.deed) == (part, deed)).alter(case)
    verdict = judge(case, frozenset(Need)).verdict
    return [(one.code, one.where, one.index) for check in verdict.checks for one in check.findings]


def test_an_altered_entry_is_the_only_one_blamed(tmp_path: Path) -> None:
    found = blamed(tmp_path, "entry bundle", "an entry changed")
    assert [100] == [index for code, _, index in found if code == "entry.altered"]


def test_an_altered_tile_is_blamed_and_not_the_entry(tmp_path: Path) -> None:
    found = blamed(tmp_path, "level-0 tile", "a hash changed")
    assert [("tile.altered", TILE, 100)] == [one for one in found if one[0] in ("tile.altered", "entry.altered")]


def test_an_entry_altered_together_with_its_tile_leads_to_the_higher_tile_and_the_journal(tmp_path: Path) -> None:
    found = blamed(tmp_path, "entry bundle", "an entry changed, and its hash in the tile")
    assert ("tile.altered", HIGHER, 0) in found
    assert ("journal.differs", 100) in [(code, index) for code, _, index in found]
    assert BUNDLE not in [where for code, where, _ in found if code == "entry.altered"]


def test_a_lapse_may_delete_only_what_has_expired(tmp_path: Path) -> None:
    play = afternoon(2)
    paper = play.paper
    paper.records.pop()  # go on instead of closing
    paper._seq[LEDGER] -= 1
    from affidavit.state.change import encode_ops

    ops = [paper.delete(f"grant/{BOB}/visits")]
    content = {"objects": encode_ops(ops), "expired": paper.records[-1].header.log.at}
    index = paper.add("lapse", LEDGER, content, decided=paper.state.index)
    assert {("state.lapse", index)} == codes(tmp_path, paper.records)


def test_what_ends_and_what_was_an_emergency_follow(tmp_path: Path) -> None:
    """The honest half of the rows in `tampering.endings`: at its end, before its end, twelve hours, by somebody else."""

    def story(paper: Paper) -> int:
        credential(paper, TOKEN, BOB, end=moment(3))
        session_by(paper, TOKEN)
        credential(paper, "uid-desk-1001", CAROL, end=moment(60))
        two_people(paper, [paper.put(BOBS, {**paper.state.get(BOBS).value, "end": moment(4)})])  # type: ignore[union-attr]
        lapse(paper, BOBS, paper.records[-1].header.log.at)
        lapse(paper, f"credential/{TOKEN}", paper.records[-1].header.log.at)
        return review(paper, break_glass(paper), CAROL, "uid-desk-1001")

    assert set() == codes(tmp_path, went_on(story)[0].records)


def test_a_member_of_the_group_that_was_given_break_glass_cannot_have_reviewed_it(tmp_path: Path) -> None:
    def told(member: bool) -> tuple[Paper, int]:
        def story(paper: Paper) -> int:
            paper.change([paper.put("group/night", {"description": ""}), paper.put("group/ward", {"description": ""})])
            paper.change([paper.put("membership/group:ward/night", {})])
            if member:
                paper.change([paper.put(f"membership/{CAROL}/ward", {})])
            return review(paper, break_glass(paper, "group:night"), CAROL, "uid-desk-1001")

        return went_on(story)

    assert set() == codes(tmp_path / "other", told(member=False)[0].records)
    paper, index = told(member=True)
    assert {("review.own", index)} == codes(tmp_path / "member", paper.records)


def test_a_review_comes_in_by_a_login_of_its_author(tmp_path: Path) -> None:
    paper, index = went_on(lambda paper: review(paper, break_glass(paper), CAROL, "uid-desk-1000"))
    assert {("change.actor", index)} == codes(tmp_path, paper.records)


def test_a_drift_may_put_only_what_its_system_reports(tmp_path: Path) -> None:
    play = afternoon(2)
    paper = play.paper
    paper.records.pop()
    paper._seq[LEDGER] -= 1
    from affidavit.state.change import encode_ops

    ops = [paper.put("group/others", {"description": ""})]
    content = {"objects": encode_ops(ops), "difference": []}
    index = paper.add("drift", GATEWAY, content, decided=paper.state.index, system="clinic")
    assert {("state.drift", index)} == codes(tmp_path, paper.records)


def test_a_hole_that_a_gap_accounts_for_and_the_sessions_that_it_ends(tmp_path: Path) -> None:
    paper = Paper()
    paper.genesis()
    at = paper.records[-1].header.log.at
    body = {"cause": "counter", "start": at, "end": at, "streams": []}
    paper.add("log.gap", LEDGER, {**body, "missing": {"stream": DESK, "first": 0, "last": 4}})
    paper._seq[DESK] = 4
    paper.change([paper.put("group/others", {"description": ""})])
    assert set() == codes(tmp_path / "accounted", paper.records)
    paper.add("log.gap", LEDGER, {**body, "cause": "crash", "streams": [DESK]})
    paper.add("log.open", LEDGER, {"reason": "start", "origin": ORIGIN, "key": SIGNER.verifier.to_text()})
    assert set() == codes(tmp_path / "crashed", paper.records)
    index = paper.change([paper.put("group/more", {"description": ""})])
    assert {("counter.dead", index), ("counter.hole", index)} == codes(tmp_path / "dead", paper.records)


@pytest.mark.parametrize(("second", "accused"), [((1, 4), False), ((2, 4), True), ((0, 4), False)])
def test_holes_that_follow_each_other_add_up(tmp_path: Path, second: tuple[int, int], accused: bool) -> None:
    """A source skips a number, what it hands over then is refused whole, and it skips again."""
    paper = Paper()
    paper.genesis()
    at = paper.records[-1].header.log.at
    for first, last in ((0, 0), second):
        body = {"cause": "counter", "start": at, "end": at, "streams": []}
        paper.add("log.gap", LEDGER, {**body, "missing": {"stream": DESK, "first": first, "last": last}})
    paper._seq[DESK] = 4
    index = paper.change([paper.put("group/others", {"description": ""})])
    assert ({("counter.hole", index)} if accused else set()) == codes(tmp_path, paper.records)


def test_decisions_under_the_guarantee_after_are_made_again_under_the_state_they_had(tmp_path: Path) -> None:
    play = afternoon(2)
    paper = play.paper
    records = paper.records
    lagging = records[play.first_access]
    # The access is recorded after the grant and the settings change, decided under the state of its time.
    moved = replace(
        lagging,
        header=with_fields(
            lagging.header,
            id=records[-1].header.id,
            guarantee="after",
            log=records[-2].header.log,
            source=records[-2].header.source,
        ),
    )
    with_lag = [*records[:-2], moved]
    got = codes(tmp_path, with_lag)
    # It follows; only the guarantee is weaker than the settings ask.
    assert {("capture.settings", len(with_lag) - 1)} == got


def test_a_start_ends_the_sessions_of_the_run_before(tmp_path: Path) -> None:
    paper = Paper()
    paper.records = list(afternoon(2).paper.records)
    session = 6
    assert "session.open" == paper.records[session].header.kind
    open_again = replace(
        paper.records[0],
        header=with_fields(
            paper.records[0].header,
            id=paper.records[12].header.id,
            log=paper.records[11].header.log,
            source=Source("0e" * 16, 0),
        ),
    )
    started = with_content(open_again, lambda content: content.update(reason="start"))
    later = replace(paper.records[12], header=with_fields(paper.records[12].header, id=paper.records[13].header.id))
    got = codes(tmp_path, [*paper.records[:12], started, later])
    assert ("genesis.open", 12) in got  # nothing stopped before this start
    assert ("counter.dead", 13) in got


def test_a_log_before_this_one_is_named_by_a_checkpoint_that_its_key_signed(tmp_path: Path) -> None:
    records = afternoon(2).paper.records
    key = SignerKey("log.example/before", bytes(32))
    checkpoint = Checkpoint(key.name, 7, bytes(32))
    named: dict[str, object] = {
        "origin": key.name,
        "key": key.verifier.to_text(),
        "size": 7,
        "root": bytes(32).hex(),
        "checkpoint": sign_checkpoint(checkpoint, key).decode(),
    }

    def with_previous(previous: object) -> list[Rec]:
        return [with_content(records[0], lambda content: content.update(previous=previous)), *records[1:]]

    assert set() == codes(tmp_path / "right", with_previous(named))
    same = Checkpoint(ORIGIN, 7, bytes(32))
    wrong: list[object] = [
        "before",
        {},
        {**named, "size": 8},
        {**named, "root": "00"},
        {**named, "origin": "log.example/other"},
        {**named, "key": SIGNER.verifier.to_text()},
        {**named, "more": 1},
        {
            **named,
            "origin": ORIGIN,
            "key": SIGNER.verifier.to_text(),
            "checkpoint": sign_checkpoint(same, SIGNER).decode(),
        },
    ]
    for number, previous in enumerate(wrong):
        assert {("genesis.previous", 0)} == codes(tmp_path / str(number), with_previous(previous))


def test_administration_is_given_back_only_by_the_logs_key_and_nothing_more(tmp_path: Path) -> None:
    paper = Paper()
    paper.records = list(afternoon(2).paper.records[:-1])
    paper = paper_at(paper.records, len(paper.records))

    def sealed(change: dict[str, object], key: SignerKey = SIGNER, shift: int = 0, more: bool = False) -> list[Rec]:
        again = paper_at(paper.records, len(paper.records))
        ops = list(restoration_ops(again.state, administrator=BOB, host="desk", uid=7, salt=again.salt_text))
        if more:
            ops.append(again.put("group/friends", {"description": ""}))
        root = again.state.preview(ops).root
        note = sign_note(restoration_text(ORIGIN, len(again.records) + shift, root), key)
        via = {"method": "recovery", "credential": "uid-desk-7", "file_access": True}
        content = {"reason": "alice left", "objects": encode_ops(ops), "approvals": [], "via": via}
        content |= {"recovery": note.decode(), **change}
        fields = {"actor": BOB, "action": "grant", "decision": "allow", "decided": again.state.index}
        again.add("change", LEDGER, content, **fields)
        return again.records

    index = len(paper.records)
    assert set() == codes(tmp_path / "right", sealed({}))
    wrong = {("change.recovery", index)}
    assert wrong == codes(tmp_path / "unsigned", sealed({"recovery": "by me"}))
    assert wrong == codes(tmp_path / "other key", sealed({}, SignerKey(ORIGIN, bytes(32))))
    assert wrong == codes(tmp_path / "other place", sealed({}, shift=1))
    assert wrong == codes(tmp_path / "more than that", sealed({}, more=True))


def test_a_hole_of_one_source_ends_no_intent_of_another(tmp_path: Path) -> None:
    paper = afternoon(2).paper
    paper.records.pop()
    paper._seq[LEDGER] -= 1
    session = paper.open_session()
    intent = paper.intent(session, paper.context())
    at, held = paper.records[-1].header.log.at, paper._seq[DESK]
    body = {"cause": "counter", "start": at, "end": at, "streams": []}
    paper.add("log.gap", LEDGER, {**body, "missing": {"stream": DESK, "first": held + 1, "last": held + 5}})
    paper._seq[DESK] += 5
    paper.outcome(session, intent)
    paper.change([paper.put("group/others", {"description": ""})])
    write_log(tmp_path / "data", paper.records)
    verdict = verify(open_archive(str(tmp_path / "data")), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})
    assert [] == [finding for check in verdict.checks for finding in check.findings]
    assert "passed" == next(check.status for check in verdict.checks if check.number == 18)
