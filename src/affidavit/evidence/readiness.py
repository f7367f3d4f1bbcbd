"""Ready: the checks before one relies on a log, each with its fix. What is missing is said, never assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from affidavit.evidence.clocks import Found
from affidavit.evidence.gaps import recent_gaps, silent_sources
from affidavit.evidence.reviewed import break_glass_reviewed
from affidavit.evidence.wording import count_words, list_words
from affidavit.history.asof import Records, changes_before
from affidavit.history.reviews import Reviews
from affidavit.ledger.places import PlacesReport, PlaceStatus
from affidavit.state.fold import State
from affidavit.state.policy import observe_all


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether it holds, what was found, and what to do where it does not hold."""

    check: str
    holds: bool
    detail: str
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {"check": self.check, "holds": self.holds, "detail": self.detail, "fix": self.fix}


def readiness(
    records: Records, reviews: Reviews, state: State, places: PlacesReport, running: Sequence[Found]
) -> tuple[Finding, ...]:
    """The checks on the log as it is now. `running` is what was found of publication (`publishing.py`), clock and
    authorities (`clocks.py`)."""
    names = partial(_name, state)
    return (
        _settings(state),
        *(Finding(*found) for found in running),
        _places(places),
        _observing(state),
        _claimed(records, state),
        Finding(*break_glass_reviewed(records, reviews, names)),
        *(Finding(*found) for found in (silent_sources(records, state), recent_gaps(records))),
    )


def index_kept(refused: int) -> tuple[Found, ...]:
    """Whether the search index kept what it promised: `refused` records did not hold it. Where it did, nothing is said:
    it is an accelerator, and no log needs one."""
    if not refused:
        return ()
    told = count_words(refused, "record", "records")
    detail = f"The search index named {told} that do not hold what it says of them: index or log were altered."
    return (("search index", False, detail, "affidavit verify DIR; then stop the log, delete DIR/search, start it."),)


def _name(state: State, principal: str) -> str:
    return state.handle_of(principal) or principal


def _settings(state: State) -> Finding:
    lacking = []
    for name in state.names("identity/"):
        identity = name.removeprefix("identity/")
        version = state.get(name)
        active = version is not None and version.value["status"] == "active"
        if active and state.get(f"settings/user/{identity}") is None:
            lacking.append(state.handle_of(identity) or identity)
    if not lacking:
        return Finding("user settings", True, "Everybody has settings of their own.")
    return Finding(
        "user settings",
        False,
        f"{count_words(len(lacking), 'identity', 'identities')} without settings of their own, "
        f"so captured at the fullest level: {list_words(sorted(lacking), most=8)}.",
        f"affidavit settings set {sorted(lacking)[0]} capture.statement=full --reason …",
    )


def _places(report: PlacesReport) -> Finding:
    check = "checkpoint outside"
    if not report.places:
        return Finding(
            check,
            False,
            "No checkpoint is kept outside: who holds the log's key could rewrite everything unseen.",
            'Add [[outside]] folder = "/another/disk" to affidavit.toml, on a disk or machine that others hold, '
            "or a [[witness]].",
        )
    failing = [said for place in report.places if (said := _place_problem(place))]
    if failing:
        return Finding(
            check,
            False,
            f"{' '.join(failing)}",
            "See docs/howto/witness.md; a folder must be there, mounted and writable.",
        )
    if report.wanted and report.cosigned is None:
        return Finding(
            check,
            False,
            "No checkpoint was cosigned by enough witnesses yet: all, or as many as the policy asks.",
            "Add the witnesses that it names to affidavit.toml, and let them follow this log.",
        )
    kept = [f"{place.name} ({_newest(place)})" for place in report.places]
    enough = f" Size {report.cosigned:,} was cosigned by enough witnesses." if report.wanted else ""
    return Finding(check, True, f"Checkpoints are kept by {list_words(kept)}.{enough}")


def _place_problem(place: PlaceStatus) -> str:
    """What is wrong with a place, as a sentence; empty where nothing is."""
    words = f"{place.problem.rstrip('.')}." if place.problem else ""
    if place.unguarded:
        return f"{place.name} has not answered since the start, so the log is unguarded: {words}"
    if words:
        newest = "" if place.size is None else f" The newest checkpoint there: {_newest(place)}."
        return f"{place.name}: {words}{newest}"
    return "" if place.size is not None else f"{place.name} holds no checkpoint yet."


def _newest(place: PlaceStatus) -> str:
    """The size of its newest checkpoint, and when it took it."""
    at = "" if place.at is None else f", {place.at[:19].replace('T', ' ')} UTC"
    return f"size {0 if place.size is None else place.size:,}{at}"


def _observing(state: State) -> Finding:
    text = observe_all()["text"]
    names = []
    for name in state.names("policy/"):
        version = state.get(name)
        if name == "policy/observe-all" or (version is not None and version.value["text"] == text):
            names.append(name)
    if not names:
        return Finding("policy", True, "No policy allows everything.")
    return Finding(
        "policy",
        False,
        f"{list_words(names)} allows everything on connected systems: accesses are recorded, not restricted.",
        f"Write policies, then delete it: a file with `{names[0]}: null` for `affidavit apply`.",
    )


def _claimed(records: Records, state: State) -> Finding:
    """Changes with an approver who was only typed, as far as what they put still stands."""
    found = []
    for index in changes_before(records, records.size):
        content = records.record(index).content
        names = [str(op.get("name")) for op in content.get("objects", ())]
        if content.get("claimed") and any(
            (version := state.get(name)) is not None and version.version == index for name in names
        ):
            found.append(f"record {index} ({list_words([str(name) for name in content['claimed']])})")
    if not found:
        return Finding("approvals", True, "No approval in force is only claimed.")
    return Finding(
        "approvals",
        False,
        f"Approvals are only claimed by who asked for the change: {list_words(found)}.",
        "Let the approver approve by their own login: `affidavit approve`, on a proposal; then delete the claimed one.",
    )
