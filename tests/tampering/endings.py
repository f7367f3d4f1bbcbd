"""By the thief who seals everything anew: lapses of what had not ended, logins after their end, break-glass, reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from logmaker import ALICE, BOB, CAROL, DESK, LEDGER, PATIENTS, T0_NS, Paper, grant_value, with_content

from affidavit.record.moment import format_moment
from affidavit.state.change import Op, encode_ops
from tampering.kinds import SHORT, Case, Found, Tampering, played
from tampering.thief import FORKED, paper_at, read_by

#: Where the day goes on: its `log.close` is not written yet.
ON = len(played(SHORT).paper.records) - 1
BOBS = f"grant/{BOB}/visits"
TOKEN = "token-0123456789abcdef"
Story = Callable[[Paper], int]


def moment(after_s: int) -> str:
    """So many seconds after the next record of the day that goes on."""
    return format_moment(T0_NS + (ON + after_s) * 1_000_000_000)


def two_people(paper: Paper, ops: list[Op]) -> int:
    """A change that alice asks for and carol approves; its index."""
    proposal = paper.proposal(ops)
    return paper.change(ops, approvals=[(paper.approval(proposal, ops, CAROL), CAROL)], ref=proposal)


def lapse(paper: Paper, name: str, expired: str) -> int:
    """A lapse of one object."""
    content = {"objects": encode_ops([paper.delete(name)]), "expired": expired}
    return paper.add("lapse", LEDGER, content, decided=paper.state.index)


def break_glass(paper: Paper, principal: str = BOB, hours: int = 12) -> int:
    """Somebody reads patients in an emergency."""
    value = {**grant_value(PATIENTS, "read"), "break_glass": True, "end": format_moment(T0_NS + hours * 3_600 * 10**9)}
    return two_people(paper, [paper.put(f"grant/{principal}/night", value)])


def credential(paper: Paper, name: str, identity: str, **more: str) -> None:
    """A login for somebody."""
    value = {"identity": identity, "type": name.partition("-")[0], "label": "", **more}
    paper.change([paper.put(f"credential/{name}", value)])


def review(paper: Paper, of: int, author: str, login: str) -> int:
    """Somebody's review of the record `of`."""
    via = {"method": login.partition("-")[0], "credential": login, "file_access": False}
    return paper.add("review", DESK, {"note": "seen", "via": via}, actor=author, ref=of, decided=paper.state.index)


def session_by(paper: Paper, login: str) -> int:
    """Bob's session, by this login."""
    index = paper.open_session()

    def authenticated(content: dict[str, Any]) -> None:
        content["actor"]["authenticated"] = {"method": "scram-sha-256", "credential": login}

    paper.records[index] = with_content(paper.records[index], authenticated)
    paper.close_session(index, 0)
    return index


def _too_early(paper: Paper) -> int:
    return lapse(paper, BOBS, paper.records[-1].header.log.at)


def _dated_ahead(paper: Paper) -> int:
    two_people(paper, [paper.put(BOBS, {**paper.state.get(BOBS).value, "end": moment(3_600)})])  # type: ignore[union-attr]
    return lapse(paper, BOBS, moment(3_600))


def _change_by_what_ended(paper: Paper) -> int:
    credential(paper, "uid-desk-1001", CAROL, end=moment(1))
    return paper.change([paper.put("group/others", {"description": ""})], CAROL)


def _session_by_what_ended(paper: Paper) -> int:
    credential(paper, TOKEN, BOB, end=moment(1))
    return session_by(paper, TOKEN)


def _too_long(paper: Paper) -> int:
    index = break_glass(paper)
    end = format_moment(T0_NS + 13 * 3_600 * 10**9)
    paper.records[index] = with_content(paper.records[index], lambda c: c["objects"][0]["value"].update(end=end))
    return index


def _capture_by_report(paper: Paper) -> int:
    source = {"kind": "application", "description": "", "heartbeat_s": None, "system": None}
    paper.change([paper.put("source/ward", source)])
    reported = {"values": [{"name": "app.theme", "value": "dark"}]}
    index = paper.change([paper.put(f"reported/{BOB}/ward", reported)])
    quiet = {"name": "capture.result", "value": "off"}
    paper.records[index] = with_content(paper.records[index], lambda c: c["objects"][0]["value"].update(values=[quiet]))
    return index


def _own_review(paper: Paper) -> int:
    return review(paper, break_glass(paper), ALICE, "uid-desk-1000")


def went_on(story: Story) -> tuple[Paper, int]:
    """The day as the thief tells it on, and the index that `story` gave."""
    paper = paper_at(played(SHORT).paper.records, ON)
    index = story(paper)
    paper.add("log.close", LEDGER, {"reason": "stop", "streams": 2})
    return paper, index


def _row(part: str, deed: str, story: Story, duty: int, code: str) -> Tampering:
    def alter(case: Case) -> None:
        case.write(went_on(story)[0].records)

    found: tuple[Found, ...] = (read_by(duty, code, went_on(story)[1]), FORKED)
    return Tampering(part, deed, alter, found)


ENDING_ROWS = [
    _row("lapse", "of a grant without an end", _too_early, 14, "state.lapse"),
    _row("lapse", "of a grant before its end, dated ahead", _dated_ahead, 14, "state.lapse"),
    _row("change", "by a login that has ended", _change_by_what_ended, 15, "change.actor"),
    _row("session", "begun by a login that has ended", _session_by_what_ended, 17, "decision.login"),
    _row("break-glass grant", "for longer than twelve hours", _too_long, 14, "state.objects"),
    _row(
        "report", "of an application, that sets what is captured of somebody", _capture_by_report, 14, "state.objects"
    ),
    _row("review", "of a break-glass grant, by who gave it", _own_review, 15, "review.own"),
]
