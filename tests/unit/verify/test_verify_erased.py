"""What a verdict says of a log in which bodies were erased: nothing fails, and nothing passes that was not looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from logmaker import (
    ALICE,
    BOB,
    BODY_KEY,
    CAROL,
    LEDGER,
    PATIENTS,
    SIGNER,
    VISITS,
    Afternoon,
    Paper,
    afternoon,
    grant_value,
    write_log,
)
from tampering.endings import break_glass, review, session_by, two_people

from affidavit.archive.open import open_archive
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import Only, verify


def judge(folder: Path, only: Only = "all") -> Verdict:
    return verify(open_archive(str(folder)), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY}, only=only)


def played() -> tuple[Paper, Afternoon]:
    paper = Paper()
    paper.genesis()
    return paper, afternoon(20, on=paper)


def ended(paper: Paper, folder: Path, only: Only = "all") -> Verdict:
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    write_log(folder, paper.records, (3, 10))
    verdict = judge(folder, only)
    assert [] == [one for check in verdict.checks for one in check.findings]
    return verdict


def left_out(verdict: Verdict) -> dict[int, str]:
    return {check.number: check.detail for check in verdict.checks if check.status == "not_checked"}


def test_an_access(tmp_path: Path) -> None:
    paper, play = played()
    by = paper.erase(play.first_access + 3)
    verdict = ended(paper, tmp_path)
    said = f"record {play.first_access + 3} was erased by record {by}"
    assert {17, 18} == set(left_out(verdict))
    assert all(said in detail for detail in left_out(verdict).values()), left_out(verdict)
    assert (3, 1) == (verdict.exit_status, verdict.scope.bodies.erased)
    assert (
        f"Erased, as a later record says of each: {play.first_access + 3} (by record {by}).",
    ) == verdict.scope.notes


def test_only_structure_needs_no_body(tmp_path: Path) -> None:
    paper, play = played()
    paper.erase(play.first_access + 3)
    assert 0 == ended(paper, tmp_path, only="structure").exit_status


def test_a_profile_leaves_every_root_and_decision_verifiable(tmp_path: Path) -> None:
    paper, play = played()
    put = paper.change([paper.put(f"profile/{BOB}", {"handle": "bob", "name": "Robert", "mail": ""})])
    paper.change([paper.put("group/late", {"description": ""})])
    by = paper.erase(put)
    paper.change([paper.put("group/later", {"description": ""})])
    verdict = ended(paper, tmp_path)
    assert {15} == set(left_out(verdict)), "who was allowed to make that change stood in it"
    assert f"record {put} was erased by record {by}" in left_out(verdict)[15]
    assert "passed" == verdict.checks[13].status
    assert play.settings < put


def test_a_grant_that_decisions_needed(tmp_path: Path) -> None:
    """While it stood, whoever it was given to cannot be decided about again; before it, after it and of others can."""
    paper, play = played()
    assert play.grant is not None
    before = len(paper.records)
    paper.change([paper.delete("policy/two")])
    paper.change([paper.delete(f"grant/{BOB}/patients")])
    session = paper.open_session()
    context = paper.context()
    paper.access(session, context, PATIENTS)
    by = paper.erase(play.grant)
    verdict = ended(paper, tmp_path)
    said = left_out(verdict)
    assert {15, 16, 17, 18} == set(said), said
    assert f"not replayable: record {play.grant} was erased by record {by}, and it needs what was in it" in said[17]
    assert "2 because" in said[16], "both contexts recorded while it stood"
    needing = [
        at
        for at in range(play.grant + 1, before)
        if paper.records[at].header.kind in ("access", "access.intent", "session.open")
    ]
    assert f"{len(needing)} because" in said[17], (said[17], needing)


def test_a_proposal_takes_its_approval_and_its_change_with_it(tmp_path: Path) -> None:
    paper, play = played()
    by = paper.erase(play.proposal)
    said = left_out(ended(paper, tmp_path))
    assert {15} == set(said)
    assert f"its proposal, record {play.proposal} was erased by record {by}" in said[15]


def test_an_identity_of_somebody_else_does_not_stand_in_the_way(tmp_path: Path) -> None:
    paper, _ = played()
    dora = "u-" + "d" * 16
    put = paper.change([paper.put(f"identity/{dora}", {"kind": "human", "status": "active", "attributes": []})])
    session = paper.open_session()
    context = paper.context()
    paper.access(session, context)
    paper.change([paper.delete(f"identity/{dora}")])
    paper.erase(put)
    assert {15} == set(left_out(ended(paper, tmp_path)))


def test_a_policy_stands_in_everybodys_way_until_it_is_put_again(tmp_path: Path) -> None:
    paper, _ = played()
    login = 'permit(principal in Group::"analysts", action == Action::"login", resource == System::"clinic");'
    put = paper.change([paper.put("policy/more", {"text": login})])
    paper.context(BOB)
    paper.context(CAROL)
    paper.change([paper.put("policy/more", {"text": login})])
    paper.context(BOB)
    paper.context(CAROL)
    paper.erase(put)
    said = left_out(ended(paper, tmp_path))
    assert {15, 16} == set(said)
    assert "2 because not replayable" in said[16]


def test_what_a_change_would_lead_to_may_rest_on_what_was_erased(tmp_path: Path) -> None:
    """Who joins a group holds its grants after that, and whether they lock themselves out is decided under those."""
    paper, _ = played()
    paper.change([paper.delete("policy/two")])
    put = paper.change([paper.put("grant/group:analysts/more", grant_value(VISITS, "read"))])
    joined = paper.change([paper.put(f"membership/{ALICE}/analysts", {})])
    paper.change([paper.delete("grant/group:analysts/more")])
    by = paper.erase(put)
    said = left_out(ended(paper, tmp_path))
    assert {15} == set(said)
    assert f"not replayable: record {put} was erased by record {by}" in said[15], joined


@pytest.mark.parametrize("kind", ["context", "session.open", "session.close", "approval", "access.outcome"])
def test_other_kinds(tmp_path: Path, kind: str) -> None:
    paper, _ = played()
    index = next(at for at, one in enumerate(paper.records) if one.header.kind == kind)
    by = paper.erase(index)
    expected = {"context": {16}, "session.open": {17}, "session.close": set(), "approval": {15}, "access.outcome": {18}}
    said = left_out(ended(paper, tmp_path))
    assert expected[kind] == set(said)
    assert all(f"record {index} was erased by record {by}" in detail for detail in said.values()), said


def test_an_erasure_whose_record_is_not_published_yet_is_not_checked(tmp_path: Path) -> None:
    """Files are read while the log goes on: a stub may name a record beyond the checkpoint that was read first."""
    paper, play = played()
    at = play.first_access + 3
    size = len(paper.records)
    paper.erase(at)
    write_log(tmp_path, paper.records, (size,), journal_end=len(paper.records))
    verdict = judge(tmp_path)
    assert [] == [one for check in verdict.checks for one in check.findings]
    assert f"record {size}, which a stub says erased record {at}, is not published yet" in left_out(verdict)[11]


def test_an_erasure_that_was_cut_short_is_no_tampering(tmp_path: Path) -> None:
    """The bundle holds the stub already, the journal still the body, and the erase record is not published."""
    paper, play = played()
    at, size = play.first_access + 3, len(paper.records)
    paper.erase(at)
    whole = [*paper.records]
    write_log(tmp_path / "stubs", whole, (size,), journal_end=len(whole))
    bodies = [*whole]
    bodies[at] = replace(whole[at], slot=None)
    write_log(tmp_path / "bodies", bodies, (size,), journal_end=len(whole))
    for name in (tmp_path / "stubs" / "journal").iterdir():
        name.write_bytes((tmp_path / "bodies" / "journal" / name.name).read_bytes())
    verdict = judge(tmp_path / "stubs")
    assert [] == [one for check in verdict.checks for one in check.findings]
    assert {11, 12, 17, 18} == set(left_out(verdict))
    assert "start the writer" in left_out(verdict)[12]


def test_a_review_of_what_was_erased(tmp_path: Path) -> None:
    paper, _ = played()
    given = break_glass(paper)
    review(paper, given, CAROL, "uid-desk-1001")
    two_people(paper, [paper.delete(f"grant/{BOB}/night")])
    by = paper.erase(given)
    said = left_out(ended(paper, tmp_path))
    assert f"what it reviews, record {given} was erased by record {by}" in said[15]


def test_a_session_whose_login_was_erased(tmp_path: Path) -> None:
    paper, _ = played()
    token = "token-" + "e" * 16
    put = paper.change([paper.put(f"credential/{token}", {"identity": BOB, "type": "token", "label": ""})])
    session_by(paper, token)
    paper.change([paper.delete(f"credential/{token}")])
    by = paper.erase(put)
    said = left_out(ended(paper, tmp_path))
    assert {15, 17} == set(said)
    assert f"its login '{token}', which was erased by record {by}" in said[17]


def test_what_was_reported_of_somebody_bears_on_their_settings_alone(tmp_path: Path) -> None:
    paper, _ = played()
    value = {"values": [{"name": "app.theme", "value": "dark"}]}
    paper.change(
        [paper.put("source/desk", {"kind": "application", "description": "", "heartbeat_s": None, "system": None})]
    )
    put = paper.change([paper.put(f"reported/{BOB}/desk", value)])
    paper.context(BOB)
    paper.context(CAROL)
    paper.change([paper.delete(f"reported/{BOB}/desk")])
    by = paper.erase(put)
    said = left_out(ended(paper, tmp_path))
    assert f"not replayable: record {put} was erased by record {by}" in said[16]
    assert "2 because" not in said[16]
