"""Watches the machine's clock and says when a `clock` record is due. What the body says: docs/spec/record.md.

Theory. Wall and monotonic time (CLOCK_BOOTTIME) are slewed alike, so their difference stays the same unless somebody
sets the clock. A jump of it between two looks is a *step*. Where looks go on to find jumps, or small ones add up, it is
no step but a rate that no synchronised clock has, a *drift*: a wall clock that stands still drifts by -1,000,000 ppm,
one that runs backwards by more. A clock that goes on drifting is noted at growing distances, so that it cannot fill the
log. Every record carries both times, so whoever has two of them can see that nothing else happened in between; where
the clock was away and came back between them, the later one says how far (`strayed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affidavit.clock import ClockStatus, Look, look_at
from affidavit.ledger.own import Host, Own
from affidavit.limits import (
    CLOCK_FREQUENCY_PPB,
    CLOCK_INTERVAL_S,
    CLOCK_READ_NS,
    CLOCK_SETTINGS_WAIT_S,
    CLOCK_STEP_NS,
)
from affidavit.record.moment import NS

_INTERVAL_NS = int(CLOCK_INTERVAL_S * NS)
_SETTINGS_WAIT_NS = int(CLOCK_SETTINGS_WAIT_S * NS)


class ClockWatch:
    """One for each ledger. `due` is to be called every second or so, by one thread at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._noted = self._last = look_at(host.clock)
        self._status = host.clock_status()
        self._jumps = False  # whether the last look found a jump
        self._least_ns = self._most_ns = 0  # by how much the clock was set since the last record, at any look
        self._wait_ns = 0  # between two records of a clock that strays, until it has run well for a while

    def start(self, anchor: int | None) -> Own:
        """The `clock` record of a start. `anchor` is the index of the newest `anchor` record, where there is one."""
        return self._note("start", look_at(self._host.clock), self._host.clock_status(), anchor)

    def due(self, anchor: int | None) -> Own | None:
        """The `clock` record that is due now, or None."""
        look, status = look_at(self._host.clock), self._host.clock_status()
        before, self._last = self._last, look
        jumps, jumped = self._jumps, abs(look.offset_ns - before.offset_ns) > CLOCK_STEP_NS
        self._jumps = jumped
        strayed_ns = look.offset_ns - self._noted.offset_ns
        self._least_ns, self._most_ns = min(self._least_ns, strayed_ns), max(self._most_ns, strayed_ns)
        since_ns = look.monotonic_ns - self._noted.monotonic_ns
        if jumped or abs(strayed_ns) > CLOCK_STEP_NS:
            drifts = jumps or not jumped
            if since_ns < self._wait_ns:
                return None
            self._wait_ns = min(2 * max(self._wait_ns, NS), _INTERVAL_NS)
            elapsed = _elapsed(self._noted if drifts else before, look)
            more = {"step_ns": str(strayed_ns), "elapsed": elapsed}
            return self._note("drift" if drifts else "step", look, status, anchor, more)
        changed = _changed(self._status, status)
        lost = status.synchronized != self._status.synchronized
        if changed and (lost or since_ns >= _SETTINGS_WAIT_NS):
            return self._note("settings", look, status, anchor, {"changed": changed})
        if since_ns >= _INTERVAL_NS:
            self._wait_ns = 0  # it has run as it should for that long
            return self._note("interval", look, status, anchor)
        return None

    def _note(
        self, reason: str, look: Look, status: ClockStatus, anchor: int | None, more: Mapping[str, Any] | None = None
    ) -> Own:
        moved_ns = look.offset_ns - self._noted.offset_ns
        least_ns, most_ns = min(self._least_ns, moved_ns), max(self._most_ns, moved_ns)
        returned_ns = max(min(moved_ns, 0) - least_ns, most_ns - max(moved_ns, 0))
        self._noted = self._last = look
        self._least_ns = self._most_ns = 0
        self._status = status
        content = {
            **_said(status),
            "others": [_said(one) for one in status.others],
            "boot": self._host.boot,
            "monotonic_ns": str(look.monotonic_ns),
            "wall_ns": str(look.wall_ns),
            "reason": reason,
            "anchor": anchor,
            **(more or {}),
        }
        if returned_ns > CLOCK_READ_NS:
            content["strayed"] = {"least_ns": str(least_ns), "most_ns": str(most_ns)}
        return Own("clock", content)


def _said(status: ClockStatus) -> dict[str, Any]:
    return {
        "source": status.source,
        "synchronized": status.synchronized,
        "offset_ns": str(status.offset_ns),
        "bound_ns": None if status.bound_ns is None else str(status.bound_ns),
        "growth_ppb": status.growth_ppb,
        "frequency_ppb": status.frequency_ppb,
        "settings": dict(status.settings),
    }


def _elapsed(before: Look, after: Look) -> dict[str, str]:
    return {
        "wall_ns": str(after.wall_ns - before.wall_ns),
        "monotonic_ns": str(after.monotonic_ns - before.monotonic_ns),
    }


def _changed(before: ClockStatus, after: ClockStatus) -> list[str]:
    """What differs in the settings of time, by name: `chrony` (came or went), `kernel.leap`, `kernel.frequency`.

    Which source has the smallest bound is no setting: it may be another one at each look.
    """
    changed = []
    old, new = ({one.source: one for one in status.all} for status in (before, after))
    for source in sorted(old.keys() | new.keys()):
        if source not in old or source not in new:
            changed.append(source)
            continue
        was, now = old[source], new[source]
        if was.synchronized != now.synchronized:
            changed.append(f"{source}.synchronized")
        names = sorted(was.settings.keys() | now.settings.keys())
        changed += [f"{source}.{name}" for name in names if was.settings.get(name) != now.settings.get(name)]
        if abs(was.frequency_ppb - now.frequency_ppb) > CLOCK_FREQUENCY_PPB:
            changed.append(f"{source}.frequency")
    return changed
