"""A thief who holds the log's key and body key: what does not follow is found, what follows needs a kept checkpoint.

Every log here is sealed anew after the change: each hash, root, signature, bundle and journal frame is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logmaker import (
    ALICE,
    BOB,
    BODY_KEY,
    CAROL,
    DESK,
    GATEWAY,
    LEDGER,
    ORIGIN,
    PATIENTS,
    SIGNER,
    Afternoon,
    Paper,
    Rec,
    afternoon,
    grant_value,
    recontext,
    refold,
    with_content,
    with_fields,
    without,
    write_log,
)

from affidavit.archive.open import open_archive
from affidavit.record.header import Log, Source, Time
from affidavit.verify.verdict import Finding, Verdict
from affidavit.verify.verify import verify


@pytest.fixture(scope="module")
def play() -> Afternoon:
    return afternoon(20)


def judge(root: Path, records: Sequence[Rec], kept: tuple[bytes, ...] = ()) -> Verdict:
    write_log(root / "data", records, (3, min(10, len(records) - 1)))
    return verify(open_archive(str(root / "data")), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY}, kept)


def found(root: Path, records: Sequence[Rec]) -> list[Finding]:
    """The findings; the tree, tiles, files and journal must all hold, since the thief sealed everything anew."""
    verdict = judge(root, records)
    assert ["passed"] * 4 == [check.status for check in verdict.checks[:4]]
    assert "passed" == verdict.checks[11].status
    return [finding for check in verdict.checks for finding in check.findings]


def codes(root: Path, records: Sequence[Rec]) -> set[tuple[str, int | None]]:
    return {(finding.code, finding.index) for finding in found(root, records)}


def edited(records: Sequence[Rec], index: int, change: Callable[[dict[str, Any]], None]) -> list[Rec]:
    return [with_content(one, change) if at == index else one for at, one in enumerate(records)]


def header(records: Sequence[Rec], index: int, **fields: Any) -> list[Rec]:
    return [
        replace(one, header=with_fields(one.header, **fields)) if at == index else one for at, one in enumerate(records)
    ]


def test_the_afternoon_itself_holds(tmp_path: Path, play: Afternoon) -> None:
    verdict = judge(tmp_path, play.paper.records)
    assert [] == [finding for check in verdict.checks for finding in check.findings]
    assert 0 == verdict.exit_status


def test_a_grant_removed_from_the_history_no_longer_carries_the_later_accesses(tmp_path: Path, play: Afternoon) -> None:
    assert play.grant is not None
    records = without(play.paper.records, play.proposal, play.approval, play.grant)
    got = codes(tmp_path, records)
    context = play.grant + 1 - 3
    assert ("context.differs", context) in got
    assert ("decision.context", context + 1) in got
    assert {"context.differs", "decision.context", "capture.settings"} >= {code for code, _ in got}


def test_a_grant_taken_out_of_its_change_no_longer_carries_the_later_accesses(tmp_path: Path, play: Afternoon) -> None:
    index = play.first_access - 4  # the change that grants visits
    assert f"grant/{BOB}/visits" == play.paper.records[index].content["objects"][0]["name"]

    def change(content: dict[str, Any]) -> None:
        other = content["objects"][0]
        content["objects"] = [{**other, "name": f"grant/{BOB}/nothing"}]

    got = codes(tmp_path, refold(edited(play.paper.records, index, change)))
    assert ("change.decided", index) in got
    assert ("context.differs", play.first_access - 1) in got
    assert ("decision.context", play.first_access) in got


def test_contexts_rewritten_too_still_leave_decisions_that_do_not_follow(tmp_path: Path, play: Afternoon) -> None:
    assert play.grant is not None
    records = recontext(without(play.paper.records, play.proposal, play.approval, play.grant))
    got = codes(tmp_path, records)
    assert {"decision.differs"} == {code for code, _ in got}
    assert ("decision.differs", play.grant + 2 - 3) in got


def test_a_whole_rewrite_is_found_only_by_a_checkpoint_kept_elsewhere(tmp_path: Path, play: Afternoon) -> None:
    kept = write_log(tmp_path / "before", play.paper.records, (3, play.denied))
    other = afternoon(20, grant_patients=False).paper.records
    assert 0 == judge(tmp_path / "rewritten", other).exit_status
    verdict = judge(tmp_path / "found", other, tuple(kept))
    assert 1 == verdict.exit_status
    # Up to the denied access the two histories are one; the last checkpoint is of a longer log.
    assert ["consistent", "consistent", "ahead"] == [one.result for one in verdict.scope.kept]
    longer = [*other, *other[-1:]]
    longer[-1] = replace(longer[-1], header=with_fields(longer[-1].header, id=play.paper.records[-1].header.id))
    verdict = judge(tmp_path / "forked", longer, tuple(kept))
    assert [("kept.forked", "kept checkpoint 3")] == [(one.code, one.where) for one in verdict.checks[4].findings]


def test_a_log_rolled_back_whole_is_found_by_a_newer_kept_checkpoint(tmp_path: Path, play: Afternoon) -> None:
    kept = write_log(tmp_path / "whole", play.paper.records)
    verdict = judge(tmp_path / "back", play.paper.records[: play.denied], tuple(kept))
    assert [("kept.ahead", 1)] == [
        (one.code, check.findings_count) for check in verdict.checks for one in check.findings
    ]
    assert 0 == judge(tmp_path / "alone", play.paper.records[: play.denied]).exit_status


def test_an_emptied_session(tmp_path: Path, play: Afternoon) -> None:
    gone = [
        at
        for at, one in enumerate(play.paper.records)
        if one.header.session == play.session and one.header.kind not in ("session.close",)
    ]
    records = recontext(without(play.paper.records, *gone))
    assert {("reference.accesses", play.closed - len(gone))} == codes(tmp_path, records)


def test_one_access_removed_from_a_session(tmp_path: Path, play: Afternoon) -> None:
    records = recontext(without(play.paper.records, play.first_access + 3))
    assert {("reference.accesses", play.closed - 1)} == codes(tmp_path, records)


def test_a_rewritten_settings_change(tmp_path: Path, play: Afternoon) -> None:
    def change(content: dict[str, Any]) -> None:
        content["objects"][0]["value"]["values"] = [{"name": "capture.result", "value": "digest"}]

    got = codes(tmp_path, refold(edited(play.paper.records, play.settings, change)))
    assert ("context.differs", play.last_context) in got
    assert ("decision.context", play.intent) in got


def test_a_duplicated_genesis(tmp_path: Path, play: Afternoon) -> None:
    paper = Paper()
    paper.genesis()
    first = [replace(one, header=with_fields(one.header, root=None)) for one in paper.records]
    again = []
    for at, one in enumerate(first):
        index = len(play.paper.records) + at
        stream = Source(LEDGER, 100 + at)
        fields = {"id": one.header.id[:-4] + f"{index:04x}", "source": stream, "root": paper.records[at].header.root}
        again.append(replace(one, header=with_fields(one.header, **fields)))
    got = {code for code, _ in codes(tmp_path, [*play.paper.records, *again])}
    assert {"genesis.open", "genesis.change", "state.follows"} <= got


CHANGES: list[tuple[str, Callable[[Afternoon], list[Rec]], Callable[[Afternoon], tuple[str, int | None]]]] = [
    (
        "a denied access turned into an allowed one",
        lambda a: header(a.paper.records, a.denied, decision="allow"),
        lambda a: ("content.disagrees", a.denied),
    ),
    (
        "the same in header and body",
        lambda a: header(
            edited(a.paper.records, a.denied, lambda c: c["authorization"].update(decision="allow")),
            a.denied,
            decision="allow",
        ),
        lambda a: ("decision.differs", a.denied),
    ),
    (
        "another actor in the header",
        lambda a: header(a.paper.records, a.first_access, actor=CAROL),
        lambda a: ("reference.session", a.first_access),
    ),
    (
        "another table than was decided on",
        lambda a: edited(a.paper.records, a.first_access, lambda c: c["action"]["tables"][0].update(name="patients")),
        lambda a: ("decision.requests", a.first_access),
    ),
    (
        "a root that is another one",
        lambda a: header(a.paper.records, a.people, root="00" * 32),
        lambda a: ("state.root", a.people),
    ),
    (
        "the approval taken out of the change",
        lambda a: edited(a.paper.records, a.grant or 0, lambda c: c.update(approvals=[])),
        lambda a: ("change.decided", a.grant),
    ),
    (
        "an approval by the one who asked",
        lambda a: edited(
            a.paper.records, a.grant or 0, lambda c: c.update(approvals=[{"approval": a.approval, "approver": ALICE}])
        ),
        lambda a: ("change.approval", a.grant),
    ),
    (
        "an approval that is none",
        lambda a: edited(
            a.paper.records, a.grant or 0, lambda c: c.update(approvals=[{"approval": a.people, "approver": CAROL}])
        ),
        lambda a: ("change.approval", a.grant),
    ),
    (
        "other objects than were approved",
        lambda a: refold(
            edited(
                a.paper.records,
                a.grant or 0,
                lambda c: c["objects"][0].update(value=grant_value(PATIENTS, "read", "write")),
            )
        ),
        lambda a: ("change.proposal", a.grant),
    ),
    (
        "a login of somebody else",
        lambda a: edited(a.paper.records, a.people + 1, lambda c: c["via"].update(credential="uid-desk-1001")),
        lambda a: ("change.actor", a.people + 1),
    ),
    (
        "no login at all",
        lambda a: edited(a.paper.records, a.people + 1, lambda c: c["via"].update(method="trust me")),
        lambda a: ("change.actor", a.people + 1),
    ),
    (
        "a change that claims to be genesis",
        lambda a: edited(a.paper.records, a.people, lambda c: c.update(via={"method": "genesis"})),
        lambda a: ("genesis.change", a.people),
    ),
    (
        "a captured row that the settings leave out",
        lambda a: edited(a.paper.records, a.closed - 1, lambda c: c["result"].update(captured=[["secret"]])),
        lambda a: ("capture.settings", a.closed - 1),
    ),
    (
        "a statement cut to its digest",
        lambda a: edited(a.paper.records, a.first_access, lambda c: c["action"].update(form="digest")),
        lambda a: ("capture.settings", a.first_access),
    ),
    (
        "a weaker guarantee",
        lambda a: header(a.paper.records, a.first_access, guarantee="after"),
        lambda a: ("capture.settings", a.first_access),
    ),
    (
        "time that runs back",
        lambda a: header(a.paper.records, a.denied, log=Log("2026-11-22T14:00:01.000000000Z", a.people + 3)),
        lambda a: ("order.time", a.denied),
    ),
    (
        "a state index that is another one",
        lambda a: header(a.paper.records, a.denied, log=Log(a.paper.records[a.denied].header.log.at, 3), decided=3),
        lambda a: ("order.state", a.denied),
    ),
    (
        "a decision under an older state",
        lambda a: header(a.paper.records, a.denied, decided=a.people + 1),
        lambda a: ("order.decided", a.denied),
    ),
    (
        "an id used twice",
        lambda a: header(a.paper.records, a.denied, id=a.paper.records[4].header.id),
        lambda a: ("order.id", a.denied),
    ),
    (
        "a hole in a counter",
        lambda a: header(a.paper.records, len(a.paper.records) - 1, source=Source(LEDGER, 9)),
        lambda a: ("counter.hole", len(a.paper.records) - 1),
    ),
    (
        "a number used twice",
        lambda a: header(a.paper.records, a.first_access, source=Source(GATEWAY, 0)),
        lambda a: ("counter.repeat", a.first_access),
    ),
    (
        "a clock that is none",
        lambda a: header(a.paper.records, a.first_access, time=Time(a.paper.records[a.first_access].header.time.at, 2)),
        lambda a: ("reference.clock", a.first_access),
    ),
    (
        "no clock where there was one",
        lambda a: header(a.paper.records, a.first_access, time=Time(a.paper.records[a.first_access].header.time.at)),
        lambda a: ("reference.clock", a.first_access),
    ),
    (
        "a session that is none",
        lambda a: header(a.paper.records, a.first_access, session=2),
        lambda a: ("reference.session", a.first_access),
    ),
    (
        "a reference forward",
        lambda a: header(a.paper.records, a.first_access, session=a.closed),
        lambda a: ("reference.session", a.first_access),
    ),
    (
        "a second outcome of an intent",
        lambda a: [
            *a.paper.records[: a.intent + 2],
            replace(
                a.paper.records[a.intent + 1],
                header=with_fields(
                    a.paper.records[a.intent + 1].header,
                    id=a.paper.records[a.intent + 2].header.id,
                    source=Source("0d" * 16, 0),
                ),
            ),
        ],
        lambda a: ("reference.intent", a.intent + 2),
    ),
    (
        "an approval of a change",
        lambda a: header(a.paper.records, a.approval, ref=a.people),
        lambda a: ("reference.ref", a.approval),
    ),
    (
        "an entry that is no header",
        lambda a: header(a.paper.records, a.first_access, decision="perhaps"),
        lambda a: ("header.field", a.first_access),
    ),
    (
        "a session after its end",
        lambda a: [
            *a.paper.records[:-1],
            replace(
                a.paper.records[a.first_access],
                header=with_fields(
                    a.paper.records[a.first_access].header,
                    id=a.paper.records[-1].header.id,
                    log=a.paper.records[-1].header.log,
                    source=Source("0d" * 16, 0),
                ),
            ),
        ],
        lambda a: ("reference.session", len(a.paper.records) - 1),
    ),
    (
        "an administrator that log.open does not name",
        lambda a: edited(a.paper.records, 0, lambda c: c.update(administrator=BOB)),
        lambda a: ("genesis.administrator", 2),
    ),
    (
        "a log opened for another origin",
        lambda a: edited(a.paper.records, 0, lambda c: c.update(origin="log.example/other")),
        lambda a: ("genesis.origin", 0),
    ),
]


@pytest.mark.parametrize(("name", "change", "expected"), CHANGES, ids=[case[0] for case in CHANGES])
def test_what_does_not_follow_is_found_and_named(
    tmp_path: Path,
    play: Afternoon,
    name: str,
    change: Callable[[Afternoon], list[Rec]],
    expected: Callable[[Afternoon], tuple[str, int | None]],
) -> None:
    assert expected(play) in codes(tmp_path, change(play))


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
