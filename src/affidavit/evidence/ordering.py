"""Did one thing happen before the other? The answer in words, with what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from affidavit.evidence.timing import Timing
from affidavit.evidence.when import when_view
from affidavit.history.asof import Records
from affidavit.record.moment import format_moment
from affidavit.record.read import Record
from affidavit.timeproof.order import Event, Order, order


def ordered(records: Records, timing: Timing, say: Callable[[Record], str], a: int, b: int) -> dict[str, Any]:
    """The order of the records at `a` and `b` and of what they tell, as values for JSON.

    `result` is `proven`, `interval` or `ambiguous`; `first` and `recorded_first` are `a`, `b` or `unknown`. `say` gives
    a record's sentence. Raises `InvalidInput` where there is no such record.
    """
    events = timing.event(a), timing.event(b)
    answer = order(*events, one_clock=timing.first_by_one_clock(a, b))
    return {
        "result": answer.result,
        "first": answer.first,
        "by": answer.by,
        "recorded_first": answer.recorded_first,
        "disputed": answer.disputed,
        "sentence": _sentence(answer, *events),
        "because": _because(answer, *events),
        "a": _view(records.record(a), timing, say),
        "b": _view(records.record(b), timing, say),
    }


def _view(record: Record, timing: Timing, say: Callable[[Record], str]) -> dict[str, Any]:
    return {
        "index": record.index,
        "kind": record.header.kind,
        "sentence": say(record),
        "when": when_view(timing, record),
    }


def _sentence(answer: Order, a: Event, b: Event) -> str:
    if answer.first == "unknown":
        return f"It cannot be said which of the records {a.index} and {b.index} tells of the earlier event."
    first, second = (a, b) if answer.first == "a" else (b, a)
    how = "proven" if answer.result == "proven" else "by the clocks"
    return f"What record {first.index} tells happened before what record {second.index} tells: {how}."


def _because(answer: Order, a: Event, b: Event) -> str:
    first, second = (a, b) if answer.first == "a" else (b, a)
    match answer.by:
        case "reference":
            said = (
                f"Record {second.index} was made after record {second.made_after} was sealed, which it names, and "
                + ("that is the other one." if second.made_after == first.index else "that one stands after the other.")
            )
        case "session":
            said = f"Both were observed in the session {first.session}, which is recorded in the order of events."
        case "stamps":
            said = (
                f"Record {first.index} was recorded not after {_moment(first.proven.latest_ns)}; record {second.index} "
                f"was made not before {_moment(second.proven.earliest_ns)}: time-stamps prove both."
            )
        case "clocks":
            said = (
                f"{_moment(first.claimed.latest_ns)} is the latest that the clock of the first allows, "
                f"{_moment(second.claimed.earliest_ns)} the earliest that the clock of the second allows."
            )
        case "one clock":
            said = "Both moments were read off one clock that nobody set in between, right or wrong as it may be."
        case _ if a.index == b.index:
            said = "It is one record."
        case _:
            said = _why_unknown(a, b)
    if answer.disputed:
        said += " The clocks say the opposite: one of them was wrong by more than its bound."
    return said


def _why_unknown(a: Event, b: Event) -> str:
    if None in (a.claimed.earliest_ns, a.claimed.latest_ns, b.claimed.earliest_ns, b.claimed.latest_ns):
        return "Neither record names the other's past, and nothing bounds how wrong a clock of theirs was."
    return "Neither record names the other's past, and their times overlap within their bounds."


def _moment(at_ns: int | None) -> str | None:
    return None if at_ns is None else format_moment(max(at_ns, 0))
