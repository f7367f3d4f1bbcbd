"""The records that the ledger writes of itself: starts, stops, gaps and clocks. Bodies: docs/spec/record.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affidavit import __version__
from affidavit.clock import Clock, ClockStatus
from affidavit.ledger.keys import Secrets
from affidavit.limits import CLOCK_INTERVAL_S, CLOCK_STEP_NS, GAP_STREAMS_MAX
from affidavit.record.body import SALT_BYTES, encode_body
from affidavit.record.draft import Draft
from affidavit.record.ids import RANDOM_BYTES, uuid7
from affidavit.record.moment import NS, format_moment

_INTERVAL_NS = int(CLOCK_INTERVAL_S * NS)


@dataclass(frozen=True)
class Host:
    """What a ledger is given of the machine it runs on. `boot` is 32 hex digits, `randomness(n)` gives n bytes."""

    clock: Clock
    boot: str
    randomness: Callable[[int], bytes]
    clock_status: Callable[[], ClockStatus]


@dataclass(frozen=True)
class Own:
    """A record of the ledger itself: its kind, its body without the salt, and header fields beyond what all have."""

    kind: str
    content: Mapping[str, Any]
    fields: Mapping[str, Any] = field(default_factory=dict)

    def draft(self, now_ns: int, randomness: Callable[[int], bytes]) -> Draft:
        """The draft, made at `now_ns`."""
        return Draft(
            kind=self.kind,
            id=uuid7(now_ns, randomness(RANDOM_BYTES)),
            at=now_ns,
            body=encode_body(self.content, randomness(SALT_BYTES)),
            **self.fields,
        )


def open_record(secrets: Secrets) -> Own:
    """`log.open` of a start."""
    return Own("log.open", {"reason": "start", **_about(secrets)})


def genesis_record(secrets: Secrets, administrator: str, now_ns: int) -> Own:
    """`log.open` of a new log."""
    content = {
        "reason": "genesis",
        **_about(secrets),
        "administrator": administrator,
        "body_key": secrets.body_keys[-1].id.hex(),
        "created": format_moment(now_ns),
    }
    return Own("log.open", content)


def close_record(reason: str, streams: int) -> Own:
    """`log.close`: the writer stops in order, with this many streams that have something open."""
    return Own("log.close", {"reason": reason, "streams": streams})


def gap_records(streams: Sequence[str], start: str, now_ns: int, detail: str) -> list[Own]:
    """`log.gap` records that name all of `streams` as dead, as many as are needed; at least one.

    `start` is the `log.at` of the last record before the gap. Where the clock has gone back since, the end is the
    start: a gap has no negative length.
    """
    end = max(format_moment(now_ns), start)
    parts = [streams[at : at + GAP_STREAMS_MAX] for at in range(0, len(streams), GAP_STREAMS_MAX)] or [[]]
    return [
        Own("log.gap", {"cause": "crash", "start": start, "end": end, "streams": list(part), "detail": detail})
        for part in parts
    ]


class ClockWatch:
    """Says when a `clock` record is due: every `CLOCK_INTERVAL_S`, and when wall and monotonic time part."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._noted_ns = host.clock.monotonic_ns()
        self._offset_ns = host.clock.now_ns() - self._noted_ns

    def start(self) -> Own:
        """The `clock` record of a start."""
        return self._note("start", None)

    def due(self) -> Own | None:
        """The `clock` record that is due now, or None."""
        monotonic_ns = self._host.clock.monotonic_ns()
        step_ns = self._host.clock.now_ns() - monotonic_ns - self._offset_ns
        if abs(step_ns) > CLOCK_STEP_NS:
            return self._note("step", step_ns)
        if monotonic_ns - self._noted_ns >= _INTERVAL_NS:
            return self._note("interval", None)
        return None

    def _note(self, reason: str, step_ns: int | None) -> Own:
        host = self._host
        self._noted_ns = host.clock.monotonic_ns()
        self._offset_ns = host.clock.now_ns() - self._noted_ns
        status = host.clock_status()
        content: dict[str, Any] = {
            "source": status.source,
            "synchronized": status.synchronized,
            "offset_ns": str(status.offset_ns),
            "bound_ns": None if status.bound_ns is None else str(status.bound_ns),
            "boot": host.boot,
            "monotonic_ns": str(self._noted_ns),
            "reason": reason,
        }
        if step_ns is not None:
            content["step_ns"] = str(step_ns)
        return Own("clock", content)


def _about(secrets: Secrets) -> dict[str, Any]:
    return {
        "origin": secrets.origin,
        "key": secrets.verifier.to_text(),
        "software": {"name": "affidavit", "version": __version__},
    }
