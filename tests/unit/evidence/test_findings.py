"""Findings, each with a story where it must be found, one where it must not, and its boundaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from findingcase import MINUTE_NS, Story, told
from logmaker import ALICE, BOB, BOOT, CAROL, GATEWAY, LEDGER, VISITS, grant_value, with_content, with_fields

from affidavit.evidence.findings.finding import CODES, Finding, Windows
from affidavit.evidence.findings.scan import Chosen, Progress, not_looked_at
from affidavit.record.header import Time
from affidavit.record.moment import format_moment

GRANT = f"grant/{BOB}/visits"


@pytest.fixture
def story() -> Story:
    return Story()


def kinds(found: list[Finding]) -> set[str]:
    return {one.code for one in found}


# -- nothing ---------------------------------------------------------------------------------------------------------


def test_an_ordinary_day_has_no_finding(story: Story) -> None:
    session = story.began()
    story.grant()
    story.wait(60)
    story.read(session)
    story.close_session(session, 1)
    assert story.findings() == []


# -- given shortly before, gone soon after ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before_ns", "after_ns", "found"),
    [
        (5 * MINUTE_NS, 10 * MINUTE_NS, True),
        (15 * MINUTE_NS - 1, 60 * MINUTE_NS, True),
        (15 * MINUTE_NS, 10 * MINUTE_NS, False),
        (5 * MINUTE_NS, 60 * MINUTE_NS + 1, False),
        (0, 0, True),
    ],
)
def test_a_brief_grant_up_to_the_nanosecond(story: Story, before_ns: int, after_ns: int, found: bool) -> None:
    session = story.began()
    given = story.grant()
    story.wait(ns=before_ns)
    used = story.read(session)
    story.wait(ns=after_ns)
    gone = story.take()
    assert told(story.findings()) == ([("grant.brief", "certain", (given, used, gone))] if found else [])


def test_a_brief_grant_says_first_use_last_use_and_who(story: Story) -> None:
    session = story.began()
    given = story.grant()
    story.wait(1)
    first = story.read(session)
    story.wait(20)
    last = story.read(session)
    story.wait(2)
    gone = story.take()
    (found,) = story.findings()
    assert (found.records, found.actor, found.system, found.objects) == (
        (given, first, last, gone),
        BOB,
        "clinic",
        (GRANT,),
    )
    assert found.sentence == (
        f"grant/bob/visits was given by alice in record {given}, 1 minute before bob used it on clinic (record {first}), "
        f"and was taken away by alice 2 minutes after its last use (record {gone})."
    )


def test_a_brief_grant_that_lapses(story: Story) -> None:
    session = story.began()
    given = story.grant(10)
    story.wait(1)
    used = story.read(session)
    story.wait(9)
    gone = story.lapse()
    (found,) = story.findings()
    assert told([found]) == [("grant.brief", "certain", (given, used, gone))]
    assert "lapsed 9 minutes after its last use" in found.sentence


def test_a_grant_that_changed_nothing_is_not_brief(story: Story) -> None:
    session = story.began()
    story.grant(name=f"grant/{BOB}/always")
    story.wait(60)
    story.grant()
    story.read(session)
    story.take()
    assert story.findings() == []


def test_a_brief_membership(story: Story) -> None:
    session = story.began()
    given = story.change([story.put(f"membership/{BOB}/staff", {})])
    story.wait(1)
    used = story.read(session)
    gone = story.take(f"membership/{BOB}/staff")
    assert told(story.findings()) == [("grant.brief", "certain", (given, used, gone))]


def test_what_goes_after_the_stretch_and_came_before_it_counts(story: Story) -> None:
    session = story.began()
    given = story.grant()
    story.wait(14)
    used = story.read(session)
    story.wait(59)
    gone = story.take()
    assert told(story.findings(used, used + 1)) == [("grant.brief", "certain", (given, used, gone))]
    assert story.findings(used, used + 1, windows=Windows(14 * MINUTE_NS, 60 * MINUTE_NS)) == []
    assert story.findings(used, used + 1, windows=Windows(15 * MINUTE_NS, 58 * MINUTE_NS)) == []


def test_a_clock_that_may_be_wrong_makes_it_possible(story: Story) -> None:
    session = story.began()
    given = story.grant()
    story.wait(14.9999)  # the bound of both clocks is a millisecond, as records of clock say: 6 ms are left
    story.clock("periodic")
    used = story.read(session)
    gone = story.take()
    assert told(story.findings()) == [("grant.brief", "certain", (given, used, gone))]
    other = Story()
    session = other.began()
    given = other.grant()
    other.wait(15, ns=-1_000_000)
    other.clock("periodic")
    used = other.read(session)
    gone = other.take()
    assert told(other.findings()) == [("grant.brief", "possible", (given, used, gone))]


# -- nested groups ---------------------------------------------------------------------------------------------------


def nested(story: Story, minutes: float) -> tuple[int, int]:
    session = story.began()
    story.change([story.put(f"membership/{BOB}/analysts", {})])
    story.wait(60)
    changed = story.change([story.put("membership/group:analysts/staff", {})])
    story.wait(minutes)
    return changed, story.read(session)


def test_through_a_nested_group_that_had_just_changed(story: Story) -> None:
    changed, used = nested(story, 3)
    (found,) = story.findings()
    assert told([found]) == [("access.by_nested_group", "certain", (changed, used))]
    assert "through analysts in staff; membership/group:analysts/staff came 3 minutes before" in found.sentence


def test_through_a_nested_group_that_changed_long_before(story: Story) -> None:
    nested(story, 15)
    assert story.findings() == []


def test_a_group_that_holds_directly_is_not_nested(story: Story) -> None:
    session = story.began()
    story.change([story.put(f"membership/{BOB}/staff", {})])
    story.wait(3)
    story.read(session)
    assert story.findings() == []


def test_a_nested_group_that_did_not_matter(story: Story) -> None:
    session = story.began()
    story.grant()
    story.change([story.put(f"membership/{BOB}/analysts", {})])
    story.wait(60)
    story.change([story.put("membership/group:analysts/staff", {})])
    story.read(session)
    assert story.findings() == []


# -- lapsed grants ---------------------------------------------------------------------------------------------------


def test_a_grant_that_had_ended_and_was_not_taken_out_yet(story: Story) -> None:
    session = story.began()
    given = story.grant(10)
    story.wait(10)
    used = story.read(session)
    (found,) = story.findings()
    assert told([found]) == [("grant.lapsed_refused", "certain", (given, used))]
    assert found.sentence.endswith("which would have allowed it, had ended less than a second before.")


def test_a_nanosecond_before_its_end_a_grant_counts(story: Story) -> None:
    session = story.began()
    story.grant(60)
    story.wait(60, ns=-1)
    story.read(session)
    assert story.findings() == []


def test_a_grant_that_lapsed_also_before_the_stretch(story: Story) -> None:
    session = story.began()
    given = story.grant(10)
    story.wait(20)
    lapsed = story.lapse()
    story.wait(5)
    used = story.read(session)
    expected = [("grant.lapsed_refused", "certain", (given, lapsed, used))]
    assert told(story.findings()) == expected
    assert told(story.findings(used)) == expected


def test_a_denial_that_no_grant_would_have_changed(story: Story) -> None:
    session = story.began()
    story.grant(10)
    story.wait(20)
    story.lapse()
    story.access(session, story.context(), ("public", "patients"))
    assert story.findings() == []


def test_a_grant_that_was_taken_away_did_not_lapse(story: Story) -> None:
    session = story.began()
    story.grant()
    story.wait(20)
    story.take()
    story.read(session)
    assert story.findings() == []


def test_allowed_by_a_grant_that_had_ended_is_a_contradiction(story: Story) -> None:
    session = story.began()
    given = story.grant(20)
    story.wait(19)
    used = story.read(session)
    rec = story.records[used]
    story.wait(1)
    late = Time(format_moment(story.at_ns), rec.header.time.clock)
    story.records[used] = replace(rec, header=with_fields(rec.header, time=late))
    assert ("grant.lapsed_allowed", "certain", (given, used)) in told(story.findings())


# -- after a revocation ----------------------------------------------------------------------------------------------


def revoked_meanwhile(story: Story, made_after: bool) -> tuple[int, int]:
    """An access that is recorded late, decided before a revocation: made before or after that by the clock."""
    session = story.began()
    story.grant()
    story.wait(60)
    if made_after:
        # The gateway decides under what it has seen, after the change was declared elsewhere.
        story.wait(1)
        record = story.later(session)
        story.wait(-1)
        gone = story.take()
        story.wait(2)
        return gone, record()
    record = story.later(session)
    story.wait(1)
    gone = story.take()
    return gone, record()


def test_used_after_the_revocation_was_declared(story: Story) -> None:
    gone, used = revoked_meanwhile(story, made_after=True)
    (found,) = story.findings()
    assert told([found]) == [("access.after_revocation", "certain", (gone, used))]
    assert found.objects == (GRANT,)


def test_recorded_after_the_revocation_and_made_before_it(story: Story) -> None:
    revoked_meanwhile(story, made_after=False)
    assert story.findings() == []


def test_nobody_can_tell_whether_before_or_after(story: Story) -> None:
    """The two clocks overlap: another clock, whose boot is not the first one's, and both are wrong by a millisecond."""
    session = story.began()
    story.grant()
    story.wait(60)
    content = {"source": "kernel", "synchronized": True, "offset_ns": "0", "bound_ns": "1000000", "boot": "b1" * 16}
    desk_clock = story._clock
    gateway_clock = story.add("clock", LEDGER, {**content, "monotonic_ns": "1", "reason": "start"})
    assert gateway_clock != desk_clock
    record = story.later(session)
    story.wait(ns=1_000_000)
    story._clock = desk_clock
    gone = story.take()
    used = record()
    assert told(story.findings()) == [("access.after_revocation", "possible", (gone, used))]
    assert BOOT != content["boot"]


def test_a_write_that_was_still_running(story: Story) -> None:
    session = story.began()
    story.grant()
    story.wait(60)
    intent = story.intent(session, story.context())
    gone = story.take()
    outcome = story.outcome(session, intent)
    assert told(story.findings()) == [("access.after_revocation", "possible", (intent, gone, outcome))]


def test_a_change_that_took_nothing_away_is_no_revocation(story: Story) -> None:
    session = story.began()
    story.grant()
    story.grant(name=f"grant/{BOB}/second")
    story.wait(60)
    intent = story.intent(session, story.context())
    story.take(f"grant/{BOB}/second")
    story.outcome(session, intent)
    assert story.findings() == []


# -- decisions -------------------------------------------------------------------------------------------------------

_ERRS = 'forbid(principal, action == Action::"read", resource) when { 9223372036854775807 + 1 > 0 };'


def test_a_rule_that_could_not_be_evaluated(story: Story) -> None:
    session = story.began()
    story.grant()
    story.wait(60)
    story.read(session)
    story.change([story.put("policy/odd", {"text": _ERRS})])
    used = story.read(session)
    (found,) = [one for one in story.findings() if one.code == "decision.errors"]
    assert told([found]) == [("decision.errors", "certain", (used,))]
    assert found.objects == ("policy/odd",)
    assert found.sentence.startswith(f"bob was denied in record {used} while policy/odd could not be evaluated: ")


def test_somebody_without_settings_of_their_own(story: Story) -> None:
    session = story.began()
    story.grant()
    story.wait(60)
    story.read(session)
    story.take(f"settings/user/{BOB}")
    first = story.read(session)
    last = story.read(session)
    (found,) = story.findings()
    assert (told([found]), found.count) == ([("access.unconfigured", "certain", (first, last))], 2)
    assert found.sentence == (
        "bob acted 2 times on clinic without settings of their own, so captured at the fullest level."
    )
    assert story.findings(0, first) == []


def test_allowed_only_because_nothing_is_restricted(story: Story) -> None:
    session = story.began()
    story.observe()
    story.wait(60)
    used = story.read(session)
    assert told(story.findings()) == [("access.only_observed", "certain", (used,))]
    story.grant()
    story.wait(60)
    both = story.read(session)
    assert story.findings(both) == []  # the grant alone allows it


# -- changes ---------------------------------------------------------------------------------------------------------


def test_names_that_were_only_typed(story: Story) -> None:
    story.began()
    change = story.grant()
    assert story.findings() == []
    story.records[change] = with_content(story.records[change], lambda said: said.update(claimed=["Carol"]))
    (found,) = story.findings()
    assert told([found]) == [("change.claimed", "certain", (change,))]
    assert found.sentence == (
        f"Record {change} changed grant/bob/visits and names Carol as approving; nothing proves that."
    )
    assert story.findings(chosen=Chosen(actor=CAROL)) == []
    assert kinds(story.findings(chosen=Chosen(actor=BOB))) == {"change.claimed"}
    assert story.findings(chosen=Chosen(system="clinic")) == []


@pytest.mark.parametrize("approver", [ALICE, CAROL])
def test_who_asked_approved(story: Story, approver: str) -> None:
    story.began()
    ops = [story.put(GRANT, grant_value(VISITS, "read"))]
    proposal = story.proposal(ops)
    approval = story.approval(proposal, ops, CAROL)
    change = story.change(ops, approvals=[(approval, CAROL)], ref=proposal)

    def says(content: dict) -> None:
        content["approvals"][0]["approver"] = approver

    story.records[change] = with_content(story.records[change], says)
    own = [("change.own_approval", "certain", (approval, change))]
    assert told(story.findings()) == (own if approver == ALICE else [])


# -- erasures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("eraser", "own"), [(ALICE, True), (CAROL, False)])
def test_who_erases_what_they_did_themselves(story: Story, eraser: str, own: bool) -> None:
    session = story.began()
    given = story.grant()
    story.wait(60)
    read = story.read(session)
    by = story.erase(given, eraser)
    story.erase(read, eraser)
    found = story.findings()
    assert told(found) == ([("erase.own", "certain", (given, by))] if own else [])
    assert [one.actor for one in found] == [eraser] * own


# -- the reading -----------------------------------------------------------------------------------------------------


def test_it_says_what_it_could_not_look_at(story: Story) -> None:
    session = story.began()
    story.grant()
    story.wait(60)
    used = story.read(session)
    story.erased = {used}
    scan = story.scan()
    assert not [item for item in scan.run(0, story.size) if isinstance(item, Finding)]
    assert not_looked_at(scan) == [{"what": "its body was erased", "count": 1, "records": [used], "by": [story.size]}]
    assert (scan.counts.records, scan.counts.accesses, scan.counts.changes) == (story.size, 1, 3)


def test_what_it_could_not_look_at_is_counted_and_only_the_first_are_named(story: Story) -> None:
    session = story.began()
    context = story.context()
    used = [story.access(session, context) for _ in range(30)]
    story.erased = {*used[:25], context}
    scan = story.scan()
    list(scan.run(0, story.size))
    (missed,) = not_looked_at(scan)
    # 25 accesses, and once the context of the other five.
    assert (missed["count"], missed["records"], missed["by"]) == (26, used[:10], [story.size] * 10)


def test_only_what_was_chosen(story: Story) -> None:
    session = story.began()
    story.observe()
    story.wait(60)
    used = story.read(session)
    for chosen, found in (
        (Chosen(actor=BOB), 1),
        (Chosen(actor=CAROL), 0),
        (Chosen(system="clinic"), 1),
        (Chosen(system="other"), 0),
        (Chosen(session=session), 1),
        (Chosen(session=used), 0),
    ):
        assert len(story.findings(chosen=chosen)) == found, chosen


def test_it_says_how_far_it_is(story: Story) -> None:
    story.began()
    for _ in range(1_000):
        story.add("log.heartbeat", GATEWAY, {"source": "gateway"})
    steps = [item for item in story.scan().run(0, story.size) if isinstance(item, Progress)]
    assert [step.done for step in steps] == [0, 500, 1_000, story.size]


def test_every_code_is_found_by_a_story() -> None:
    files = (Path(__file__), Path(__file__).with_name("test_findings_watched.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [code for code in CODES if text.count(f'"{code}"') < 1] == []
