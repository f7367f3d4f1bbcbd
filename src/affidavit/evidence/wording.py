"""How moments, durations, counts and names are said in words: always with the zone, always with the bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affidavit.record.moment import format_moment

_NS = 1_000_000_000
_MS = 1_000_000
_UNITS = (("day", 86_400 * _NS), ("hour", 3_600 * _NS), ("minute", 60 * _NS), ("second", _NS))
UNBOUNDED = "unbounded"


def moment_words(at: str, bound_ns: int | None) -> str:
    """A record's moment to the millisecond, in UTC, with how wrong it can be: `2026-11-22 14:17:03.214 UTC ± 1.2 ms`.

    The text is cut, not rounded, so that it never names a later moment than the record does.
    """
    return f"{at[:10]} {at[11:23]} UTC {bound_words(bound_ns)}"


def bound_words(bound_ns: int | None) -> str:
    """`± 1.2 ms`, or that nothing bounds the clock's error."""
    if bound_ns is None:
        return f"({UNBOUNDED})"
    if bound_ns < 1_000_000:
        return f"± {_short(bound_ns, 1_000)} µs"
    if bound_ns < _NS:
        return f"± {_short(bound_ns, 1_000_000)} ms"
    return f"± {_short(bound_ns, _NS)} s"


def moment_of_ns(at_ns: int) -> str:
    """A moment to the second, cut, in UTC."""
    return f"{_millisecond(at_ns // _MS)[:19]} UTC"


def span_words(earliest_ns: int | None, latest_ns: int | None) -> str:
    """When something was, to the millisecond, in UTC: `between … and …`, `not before …`, `not after …`.

    The ends are rounded outwards, so that less is said than is known, never more.
    """
    first = "" if earliest_ns is None else _millisecond(earliest_ns // _MS)
    last = "" if latest_ns is None else _millisecond(-(-latest_ns // _MS))
    if first and last:
        return f"between {first} and {last[11:] if last[:10] == first[:10] else last} UTC"
    if first or last:
        return f"not before {first} UTC" if first else f"not after {last} UTC"
    return "at a time that nothing bounds"


def _millisecond(at_ms: int) -> str:
    at = format_moment(max(at_ms, 0) * _MS)
    return f"{at[:10]} {at[11:23]}"


def _short(value_ns: int, unit_ns: int) -> str:
    # A bound is rounded up: it may claim less than is known, never more.
    tenths = -(-value_ns * 10 // unit_ns)
    return f"{tenths // 10}.{tenths % 10}" if tenths < 100 and tenths % 10 else str(-(-tenths // 10))


def duration_words(duration_ns: int) -> str:
    """A length of time in its two largest units, cut: `40 seconds`, `1 minute 4 seconds`, `less than a second`."""
    parts: list[str] = []
    rest = max(duration_ns, 0)
    for name, unit_ns in _UNITS:
        count, rest = divmod(rest, unit_ns)
        if count:
            parts.append(count_words(count, name))
        if len(parts) == 2:
            break
    return " ".join(parts) or "less than a second"


def count_words(count: int, noun: str, plural: str = "") -> str:
    """`1 row`, `12 rows`, `1,104 bytes`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def place_words(answer: Mapping[str, Any]) -> str:
    """Which position an answer about the state is of, the moment in UTC, and how a time was read."""
    moment = answer["moment"]
    if answer["begins"] is not None:
        return f"before record 0: the log began at {answer['begins'][:19].replace('T', ' ')} UTC"
    said = f"after the records before {answer['at']}"
    if moment["read"] is None:
        return said
    return f"{said}; read as {moment['read']}: until {moment['utc'][:23].replace('T', ' ')} UTC"


def list_words(items: Sequence[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and 4 more`."""
    if len(items) > most:
        return ", ".join(items[: most - 1]) + f" and {len(items) - most + 1} more"
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" and {items[-1]}"
