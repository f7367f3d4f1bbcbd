"""Random small logs with random erasures: verify never fails them, and never passes what it could not look at.

The oracle knows the whole log: whatever rests on a version that an erased change put must not count as looked at.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from logmaker import (
    BOB,
    BODY_KEY,
    CAROL,
    LEDGER,
    PATIENTS,
    SIGNER,
    SYSTEM,
    VISITS,
    Paper,
    afternoon,
    grant_value,
    write_log,
)

from affidavit.archive.open import open_archive
from affidavit.record.kinds import KINDS
from affidavit.verify.verdict import Check, Verdict
from affidavit.verify.verify import verify

STEPS = ("profile", "grant", "ungrant", "settings", "unsettle", "policy", "system", "context", "access", "group")


def step(paper: Paper, name: str, session: int) -> None:
    """One thing that happens to the clinic."""
    held = paper.state.get(f"grant/{BOB}/more")
    own = paper.state.get(f"settings/user/{BOB}")
    match name:
        case "profile":
            paper.change(
                [paper.put(f"profile/{BOB}", {"handle": "bob", "name": f"Bob {len(paper.records)}", "mail": ""})]
            )
        case "grant":
            paper.change([paper.put(f"grant/{BOB}/more", grant_value(PATIENTS, "read"))])
        case "ungrant" if held is not None:
            paper.change([paper.delete(f"grant/{BOB}/more")])
        case "settings":
            values = [{"name": "capture.result", "value": "count"}]
            paper.change([paper.put(f"settings/user/{BOB}", {"values": values})])
        case "unsettle" if own is not None:
            paper.change([paper.delete(f"settings/user/{BOB}")])
        case "policy":
            text = f'permit(principal == Identity::"{CAROL}", action == Action::"login", resource == System::"clinic");'
            paper.change([paper.put("policy/more", {"text": text})])
        case "system":
            value = {"kind": "postgresql", "description": f"{len(paper.records)}", "key_columns": []}
            paper.change([paper.put("system/clinic", value)])
        case "group":
            paper.change([paper.put("group/more", {"description": f"{len(paper.records)}"})])
        case "context":
            paper.context(CAROL)
        case "access":
            paper.access(session, paper.context(), VISITS)
        case _:
            pass


def judged(paper: Paper) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        write_log(Path(folder), paper.records, (3,))
        return verify(open_archive(folder), [SIGNER.verifier], {BODY_KEY.id: BODY_KEY})


def looked(check: Check) -> int:
    words = check.detail.split(" looked at")[0].replace(" ", "")
    return int(words) if words.isdigit() else 0


def versions(content: dict[str, Any]) -> set[int]:
    """The records that a context rests on, but for memberships, which have no version in it."""
    listed = [item for part in ("grants", "policies", "schemas", "settings", "observed") for item in content[part]]
    named = [content[part] for part in ("identity", "declared") if content[part] is not None]
    return {item["version"] for item in [*listed, *named] if "version" in item}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=10), st.data())
def test_nothing_fails_and_nothing_passes_unseen(steps: list[str], data: st.DataObject) -> None:
    paper = Paper()
    paper.genesis()
    afternoon(2, on=paper)
    paper.change([paper.delete("policy/two")])
    session = paper.open_session()
    for name in steps:
        step(paper, name, session)
    erasable = [at for at, one in enumerate(paper.records) if KINDS[one.header.kind].erasable and at != 2]
    gone = data.draw(st.sets(st.sampled_from(erasable), min_size=1, max_size=6))
    total = {kind: [at for at, one in enumerate(paper.records) if one.header.kind == kind] for kind in KINDS}
    for at in sorted(gone):
        paper.erase(at)
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    verdict = judged(paper)
    assert [] == [f"{one.code} {one.message}" for check in verdict.checks for one in check.findings]
    checks = {check.number: check for check in verdict.checks}
    assert ("passed", len(gone)) == (checks[14].status, verdict.scope.bodies.erased)
    changed = {at for at in gone if paper.records[at].header.kind == "change"}
    blind = [at for at in total["context"] if at in gone or versions(paper.records[at].content) & changed]
    assert looked(checks[16]) <= len(total["context"]) - len(blind)
    decided = [at for kind in ("access", "access.intent", "session.open") for at in total[kind]]
    unseen = [at for at in decided if at in gone or _rests_on(paper, at, changed)]
    assert looked(checks[17]) <= len(decided) - len(unseen)
    assert "passed" != checks[17].status or not unseen
    assert "passed" != checks[15].status or not gone & {*total["change"], *total["proposal"], *total["approval"]}


def _rests_on(paper: Paper, at: int, changed: set[int]) -> bool:
    """Whether a decision rests on an erased change, by the context that it was made under."""
    context = paper.records[at].header.context
    return context is not None and bool(versions(paper.records[context].content) & changed)


def test_the_oracle_sees_what_a_context_rests_on() -> None:
    paper = Paper()
    paper.genesis()
    play = afternoon(2, on=paper)
    content = paper.records[play.last_context].content
    assert {play.grant, play.settings} <= versions(content)
    assert SYSTEM == content["system"]
